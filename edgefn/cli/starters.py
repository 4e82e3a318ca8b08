"""The starters of `edgefn new`: one for each runtime, and for runtime `wasm` one for each language.

A starter is a folder of `edgefn/starters` and a row here; `.in` at the end of a name keeps a file from being a module
of ours. A source in WAT is translated when it is written.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "starters"


@dataclass(frozen=True, slots=True)
class Starter:
    """`event` names the sample that its event is made of, `build` are commands, with {path} for the new directory.

    `store` is the file that is its key-value store, "" where it has none.
    """

    folder: str
    language: str
    event: str = "viewer-request"
    build: tuple[str, ...] = ()
    store: str = ""
    runtime: str = ""


_CC: Final = "zig cc -target wasm32-freestanding -O2 -nostdlib -Wl,--no-entry"

_BY_RUNTIME: Final = (
    ("nodejs", Starter("nodejs", "JavaScript")),
    ("python", Starter("python", "Python")),
    ("js", Starter("js", "JavaScript")),
    ("cloudfront-js-1.0", Starter("cloudfront-js-1.0", "JavaScript", "cloudfront-viewer-request")),
    (
        "cloudfront-js-2.0",
        Starter("cloudfront-js-2.0", "JavaScript", "cloudfront-viewer-request", store="moved.json"),
    ),
)
_RUSTC: Final = "rustc --edition 2021 --crate-type cdylib --target wasm32-unknown-unknown -O -C panic=abort"
_ASC: Final = "npx --package assemblyscript asc"
_WASM: Final = {
    "c": Starter("wasm-c", "C", build=(f"{_CC} {{path}}/function.c -o {{path}}/function.wasm",)),
    "rust": Starter("wasm-rust", "Rust", build=(f"{_RUSTC} {{path}}/function.rs -o {{path}}/function.wasm",)),
    "assemblyscript": Starter(
        "wasm-assemblyscript",
        "AssemblyScript",
        build=(f"{_ASC} {{path}}/function.ts -o {{path}}/function.wasm -O3 --runtime stub --use abort=",),
    ),
    "go": Starter("wasm-go", "Go", build=("(cd {path} && GOOS=wasip1 GOARCH=wasm go build -o function.wasm .)",)),
    "wat": Starter(
        "wasm-wat", "WAT", build=("wat2wasm {path}/function.wat -o {path}/function.wasm    # after changes",)
    ),
}
LANGUAGES: Final = tuple(_WASM)


def starter_of(runtime: str, language: str | None) -> Starter | None:
    """Return the starter for a known runtime; None where it has no choice of languages and one is asked for."""
    if runtime == "wasm":
        return replace(_WASM[language or LANGUAGES[0]], runtime=runtime)
    if language is not None:
        return None
    return next(replace(starter, runtime=runtime) for prefix, starter in _BY_RUNTIME if runtime.startswith(prefix))
