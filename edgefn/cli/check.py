"""`edgefn check`: says what is wrong with a configuration without starting it; --strict says what AWS would refuse."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edgefn.cli.reading import counted, read_settings, read_text
from edgefn.configuration.functions import default_handler, is_source_file
from edgefn.configuration.loader import load_shared
from edgefn.configuration.reading import did_you_mean
from edgefn.functions.archive import read_bundle
from edgefn.functions.bundle import Bundle, BundleError
from edgefn.model.errors import SettingsError
from edgefn.node.hosting import interpreter_warnings
from edgefn.rules import cff_lint
from edgefn.rules.beyond_aws import beyond_aws
from edgefn.rules.cff_script import script_of

EXAMPLES = """\
examples:
  edgefn check config/edgefn.yaml
  edgefn check --strict config/edgefn.yaml
  edgefn check --shared shop.yaml                  what `edgefn apply` publishes, without the machine's part
  edgefn check --strict rewrite.js --runtime cloudfront-js-2.0

Each problem is one line: file, line, key, what is wrong, what would be right. --strict warns of what runs here and not
at AWS: in CloudFront Functions with line and column, and in the configuration.
A runtime that only another version of its interpreter can run here is told of in any case.
Exit status 0: nothing; 1: warnings of --strict; 2: problems.
"""

_RUNTIMES = (cff_lint.OLD, cff_lint.NEW)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", metavar="CONFIG", help="the configuration file (YAML); with --runtime, a function")
    parser.add_argument("--strict", action="store_true", help="warn of what AWS would refuse although it runs here")
    parser.add_argument("--shared", action="store_true", help="the file has only what `edgefn apply` publishes")
    parser.add_argument("--runtime", choices=_RUNTIMES, help="check one CloudFront Function instead")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.runtime is not None:
        return _check_function(given)
    if is_source_file(given.file):
        told = f"is a function, not a configuration; write --runtime {' or '.join(_RUNTIMES)} to check one"
        raise SettingsError((f"{given.file}: {told}",))
    settings = load_shared(read_text(given.file), filename=given.file) if given.shared else read_settings(given.file)
    warnings: list[str] = []
    if given.strict:
        warnings += (f"{given.file}: {warning}" for warning in beyond_aws(settings))
        for function in settings.functions.values():
            if function.runtime in _RUNTIMES:
                warnings += _warnings(function.path, function.handler, function.runtime)
    parts = [counted(len(settings.functions), "function")]
    if settings.routes:
        parts = [counted(len(settings.routes), "route"), counted(len(settings.origins), "origin"), *parts]
    else:
        parts.append(f"routes and origins: those that are published for site {settings.site}")
    for warning in interpreter_warnings(settings):
        print(f"{given.file}: {warning}", file=sys.stderr)
    return _told(given.file, ", ".join(parts), warnings)


def _check_function(given: argparse.Namespace) -> int:
    if not given.strict:
        raise SettingsError(
            (f"{given.file}: `edgefn check --runtime` looks for what AWS refuses; write --strict, too",)
        )
    handler = default_handler(given.runtime, given.file)
    return _told(given.file, f"a function for {given.runtime}", list(_warnings(given.file, handler, given.runtime)))


def _told(file: str, about: str, warnings: list[str]) -> int:
    for warning in warnings:
        print(warning, file=sys.stderr)
    told = f", {counted(len(warnings), 'warning')}" if warnings else ""
    print(f"{file}: ok: {about}{told}")
    return 1 if warnings else 0


def _warnings(path: str, handler: str, runtime: str) -> Iterator[str]:
    """Yield `file:line:column: what AWS may refuse` of the function in a bundle. Raises `SettingsError`."""
    try:
        bundle = read_bundle(Path(path))
    except BundleError as error:
        told = str(error)
        raise SettingsError((told if told.startswith(path) else f"{path}: {told}",)) from error
    name, source = _script(bundle, path, handler)
    where = _from_here(path if is_source_file(path) and not path.endswith(".zip") else os.path.join(path, name))
    for finding in cff_lint.check(source, runtime):
        yield f"{where}:{finding.line}:{finding.column}: {finding.message}"


def _script(bundle: Bundle, path: str, handler: str) -> tuple[str, str]:
    files = {file.path: file.data for file in bundle.files}
    name = script_of(files, handler)
    if name is None:
        stem = f"{handler.partition('.')[0]}.js"
        raise SettingsError((f"{path}: has no script {stem}; {did_you_mean(stem, files)}",))
    try:
        return name, files[name].decode()
    except UnicodeDecodeError as error:
        raise SettingsError((f"{path}: {name}: is not UTF-8 text: {error.reason} at byte {error.start}",)) from error


def _from_here(path: str) -> str:
    """Return a path as it is shortest to read: from the working directory where it lies below."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
