"""Reading the files that commands are given."""

import os
from pathlib import Path

from edgefn.configuration.loading import load
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
    _check_paths(path, settings)
    return settings


def _check_paths(path: str, settings: Settings) -> None:
    problems = [
        f"{path}: functions.{function.name}.path: there is no {function.path}"
        for function in settings.functions.values()
        if not Path(function.path).exists()
    ]
    for listen in settings.listen:
        for pair in listen.certificates:
            problems.extend(
                f"{path}: listen.certificates: there is no {file}"
                for file in (pair.certificate, pair.key)
                if not Path(file).exists()
            )
    if settings.geo_database and not Path(settings.geo_database).exists():
        problems.append(f"{path}: geo_database: there is no {settings.geo_database}")
    if problems:
        raise SettingsError(tuple(problems))
