"""Reading the files that commands are given."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgefn.configuration.document import line_of, parse
from edgefn.configuration.loader import load, oversized, verify
from edgefn.functions.configurations import read
from edgefn.functions.kvs_file import StoreError, read_content
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.node.configured import Read


def load_settings(path: str, shared: Mapping[str, object] | None = None) -> Settings:
    """Return the settings in the configuration file `path`, whatever other files it names. Raises `SettingsError`.

    A published configuration, `shared`, takes the place of what the file says of the same.
    """
    return load(read_text(path), filename=path, base=os.path.dirname(os.path.abspath(path)), shared=shared)


def read_settings(path: str, shared: Mapping[str, object] | None = None) -> Settings:
    """Return the settings in the configuration file `path`. Raises `SettingsError` with every problem in it.

    `shared` as in `load_settings`.
    """
    settings = load_settings(path, shared)
    missing = verify(settings, os.path.exists) or (*oversized(settings, os.path.getsize), *_broken_stores(settings))
    if missing:
        if shared is not None:
            raise SettingsError(tuple(f"{path}: {problem}" for problem in missing))
        document = parse(read_text(path), path)
        placed = sorted((line_of(document, problem.partition(":")[0]), problem) for problem in missing)
        raise SettingsError(tuple(f"{path}:{line}: {problem}" for line, problem in placed))
    return settings


def reader_of(path: str) -> Read:
    """Return what reads the configuration file `path` anew, each time for another published configuration."""
    return lambda revision: read_settings(path, None if revision is None else read(revision))


def _broken_stores(settings: Settings) -> Iterator[str]:
    for name, path in settings.kvs.items():
        try:
            read_content(Path(path))
        except StoreError as error:
            yield f"kvs.{name}: {error}"


def read_bytes(file: str) -> bytes:
    """Return what a file holds, or standard input for `-`. Raises `SettingsError`."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise SettingsError((f"{file}: can't be read: {error.strerror}",)) from error


def read_text(path: str) -> str:
    """Return the text of the file `path`. Raises `SettingsError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError((f"{path}: can't be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}",)) from error


def counted(count: int, noun: str) -> str:
    """Return "1 route", "2 routes"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
