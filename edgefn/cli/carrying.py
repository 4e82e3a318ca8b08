"""What a published configuration takes along from files: the certificate authorities of origins."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgefn.configuration.authorities import AuthoritiesError, certificates_in
from edgefn.configuration.document import Node, line_of
from edgefn.configuration.reading import Json
from edgefn.model.errors import SettingsError
from edgefn.model.origin import PEM_BEGIN

_MOST_READ: Final = 1024 * 1024


def with_authorities(shared: Json, document: Node, file: str) -> Json:
    """Return what `file` publishes with the certificates at `origins.NAME.tls.ca` in the place of their paths.

    Raises `SettingsError` with all that can't be taken along, each with its line in `file`.
    """
    problems: list[str] = []
    origins = shared.get("origins")
    carried: dict[str, object] = {}
    for name, origin in origins.items() if isinstance(origins, Mapping) else ():
        carried[name] = origin
        match origin:
            case {"tls": {"ca": str(path), **others}, **rest} if PEM_BEGIN not in path:
                at = f"origins.{name}.tls.ca"
                try:
                    carried[name] = {**rest, "tls": {**others, "ca": _certificates(path, file)}}
                except AuthoritiesError as error:
                    problems.append(f"{file}:{line_of(document, at)}: {at}: {path} {error}")
            case _:
                pass
    if problems:
        raise SettingsError(tuple(problems))
    return {**shared, "origins": carried} if carried else shared


def _certificates(path: str, file: str) -> str:
    where = Path(os.path.dirname(os.path.abspath(file)), path)
    try:
        with where.open("rb") as opened:
            content = opened.read(_MOST_READ + 1)
    except OSError as error:
        raise AuthoritiesError(f"can't be read: {error.strerror}") from error
    if len(content) > _MOST_READ:
        raise AuthoritiesError(
            f"is larger than {_MOST_READ // 1024} KB; name a file with the authorities of this origin"
        )
    return certificates_in(content.decode("utf-8", "replace"))
