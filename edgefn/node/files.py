"""The files that a configuration names and that are read whole: opened at start and at each reload."""

from dataclasses import dataclass
from pathlib import Path

from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.node.geo import Locate, open_database

_SECRET_SIZE = 32


@dataclass(frozen=True, slots=True)
class Files:
    """What they hold. `shield_secret` is b"" where there is no shield."""

    locate: Locate
    shield_secret: bytes = b""


def read_files(settings: Settings) -> Files:
    """Return what the files of `settings` hold. Raises `SettingsError`."""
    return Files(open_database(settings.geo_database), _shield_secret(settings))


def _shield_secret(settings: Settings) -> bytes:
    if settings.shield is None:
        return b""
    path = settings.shield.secret
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise SettingsError((f"shield.secret: {path}: {error.strerror}",)) from error
    if len(secret) < _SECRET_SIZE:
        told = f"shield.secret: {path}: has fewer than {_SECRET_SIZE} bytes; make one: head -c 32 /dev/urandom | base64"
        raise SettingsError((told,))
    return secret
