"""Reading the files that commands are given."""

import os
from pathlib import Path

from edgefn.configuration.loader import load, oversized, verify
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings


def read_settings(path: str) -> Settings:
    """Return the settings in the configuration file `path`. Raises `SettingsError` with every problem in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError((f"{path}: can't be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}",)) from error
    settings = load(text, filename=path, base=os.path.dirname(os.path.abspath(path)))
    missing = verify(settings, os.path.exists) or oversized(settings, os.path.getsize)
    if missing:
        raise SettingsError(tuple(f"{path}: {problem}" for problem in missing))
    return settings


def counted(count: int, noun: str) -> str:
    """Return "1 route", "2 routes"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
