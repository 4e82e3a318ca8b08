"""`edgefn new`: writes a function to start from, an event to try it with, and how to run it."""

import argparse
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import cast

from wasmtime import wat2wasm

from edgefn.cli.samples import SAMPLES
from edgefn.cli.starters import FOLDER, LANGUAGES, Starter, starter_of
from edgefn.configuration.functions import NAME, NAMING, RUNTIMES, runtime_flaw
from edgefn.model.errors import SettingsError

EXAMPLES = """\
examples:
  edgefn new --runtime nodejs22.x hello
  edgefn new --runtime cloudfront-js-2.0 functions/hello
  edgefn new --runtime wasm --language c hello

A directory with the function, event.json and a README.md that says how to run it. Exit status 0: made; 2: not.
"""

_PATH = "/docs/"
"""What the event asks for: every starter but the one in WAT makes /docs/index.html of it."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("path", metavar="NAME", help="the directory to make; its last part is the function's name")
    parser.add_argument("--runtime", required=True, metavar="R", help=", ".join(RUNTIMES))
    parser.add_argument("--language", choices=LANGUAGES, help="for runtime wasm (default c)")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    path = Path(os.path.normpath(given.path))
    starter = _starter(given, path)
    files = {**_sources(starter), "event.json": _event(starter), "README.md": _readme(path, starter).encode()}
    _write(path, files)
    print("made " + ", ".join(str(path / name) for name in sorted(files)))
    print(f"\n{_how(path, starter)}")
    return 0


def _starter(given: argparse.Namespace, path: Path) -> Starter:
    """Return what is asked for. Raises `SettingsError`."""
    flaw = runtime_flaw(given.runtime)
    starter = None if flaw else starter_of(given.runtime, given.language)
    problems = [] if flaw is None else [f"--runtime: {flaw}"]
    if flaw is None and starter is None:
        problems.append(f"--language: runtime {given.runtime} has a language of its own; leave it out")
    if not re.fullmatch(NAME, path.name):
        problems.append(f"{given.path}: {path.name!r} can't be a function's name; write {NAMING}")
    elif os.path.lexists(path):
        problems.append(f"{given.path}: is there already; take another name")
    elif not path.parent.is_dir():
        problems.append(f"{given.path}: there is no directory {path.parent}; make it first")
    if problems or starter is None:
        raise SettingsError(tuple(problems))
    return starter


def _sources(starter: Starter) -> dict[str, bytes]:
    folder = FOLDER / starter.folder
    sources = {file.name.removesuffix(".in"): file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    for name in [name for name in sources if name.endswith(".wat")]:
        sources[f"{name.removesuffix('.wat')}.wasm"] = bytes(wat2wasm(sources[name].decode()))
    return sources


def _event(starter: Starter) -> bytes:
    event = cast("dict[str, dict[str, object]]", json.loads(SAMPLES[starter.event].event()))
    request = event["request"] if "request" in event else event["Records"][0]["cf"]["request"]  # type: ignore[index]
    request["uri"] = _PATH
    return json.dumps(event, indent=2).encode() + b"\n"


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Write all files or none. Raises `SettingsError`."""
    try:
        unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            for name, content in files.items():
                (unfinished / name).write_bytes(content)
            unfinished.chmod(0o755)
            unfinished.rename(path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise SettingsError((f"{path}: can't be written: {error.strerror}",)) from error


def _readme(path: Path, starter: Starter) -> str:
    return (
        f"# {path.name}\n\nA function for runtime `{starter.runtime}`, in {starter.language}.\n\n{_how(path, starter)}"
    )


def _how(path: Path, starter: Starter) -> str:
    store = f" --kvs {path / starter.store}" if starter.store else ""
    here = path if path.is_absolute() else f"./{path}"
    lines = ["Try it:", "", *(f"    {command.format(path=path)}" for command in starter.build)]
    lines += [f"    edgefn invoke {path} --runtime {starter.runtime} --event {path / 'event.json'}{store}", ""]
    lines += ["In a configuration:", ""]
    if starter.store:
        lines.append(f"    kvs: {{{path.name}: {here}/{starter.store}}}")
    reads = f", kvs: {path.name}" if starter.store else ""
    lines += [
        f"    functions: {{{path.name}: {{path: {here}, runtime: {starter.runtime}{reads}}}}}",
        f'    routes: [{{path: "*", origin: app, hooks: {{viewer-request: {path.name}}}}}]',
        "",
    ]
    return "\n".join(lines)
