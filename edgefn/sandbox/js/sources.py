"""A function's files, as the engine's prelude is told of them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgefn.rules.cff_script import SCRIPTS, script_of, scripts_of
from edgefn.sandbox.base import Code
from edgefn.sandbox.wasm.program import LoadError

MOST = 2 * 1024**2
"""Bytes of all files together: they are parsed in the guest's memory."""

_KEPT = (*SCRIPTS, ".json", ".txt", ".html", ".css", ".svg", ".xml", ".csv")
_MODULE = re.compile(
    r"^[ \t]*(?:import\s*[\w$*{\"']|export\s+(?:default|const|let|var|function|async|class)\b|export\s*[{*])", re.M
)


def described(code: Code, *, whole_bundle: bool) -> Mapping[str, object]:
    """Return what a prelude's `load` takes. Raises `LoadError`, `OSError`."""
    if whole_bundle:
        return _bundle(code)
    path = _only_script(code)
    source = _text(path, path.name)
    return {"name": path.name, "source": source, "isModule": is_module(source)}


def is_module(source: str) -> bool:
    """Return whether source text has an import or export declaration, by the look of its lines."""
    return _MODULE.search(source) is not None


def _only_script(code: Code) -> Path:
    """Return the one script of a bundle, or the one that the handler names. Raises `LoadError`."""
    root = Path(code.root)
    files = [path.name for path in root.iterdir() if path.is_file()]
    script = script_of(files, code.handler)
    if script is not None:
        return root / script
    names = ", ".join(scripts_of(files)) or "none"
    raise LoadError(f"a CloudFront Function is one .js file, or the one that handler {code.handler!r} names: {names}")


def _bundle(code: Code) -> Mapping[str, object]:
    files = dict(_files(Path(code.root)))
    if sum(map(len, files.values())) > MOST:
        raise LoadError(f"its scripts are larger than {MOST // 1024**2} MB: use a nodejs runtime")
    return {
        "files": files,
        "modules": [name for name in files if name.endswith((".js", ".mjs")) and is_module(files[name])],
        "handler": code.handler,
        "function": code.function,
        "version": code.version,
        "arn": code.arn,
        "memory": code.memory,
        "timeout": code.timeout,
        "environment": dict(code.environment),
    }


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        if path.suffix in _KEPT and path.is_file():
            name = path.relative_to(root).as_posix()
            yield name, _text(path, name)


def _text(path: Path, name: str) -> str:
    if path.stat().st_size > MOST:
        raise LoadError(f"{name}: is larger than {MOST // 1024**2} MB")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise LoadError(f"{name}: is not UTF-8 text") from None
