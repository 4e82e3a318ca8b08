"""Published configurations as JSON documents, to and fro: which revision is in force, and each revision by itself.

What locations share is sealed in it where there is a key: the headers for an origin may be secrets.
"""

import base64
from collections.abc import Iterator, Mapping

import orjson

from edgefn.functions.documents import DocumentError, Json
from edgefn.functions.sealing import SealError, SealingKey, unsealed
from edgefn.model.publishing import Configuration, Revision, Use


def written(shared: Mapping[str, object]) -> str:
    """Return the one JSON text of what locations share: the same settings give the same text."""
    return orjson.dumps(shared, option=orjson.OPT_SORT_KEYS).decode()


def read(revision: Revision) -> Json:
    """Return what locations share by a revision, as a JSON object."""
    return _table(orjson.loads(revision.document))


def revision_to_document(site: str, revision: Revision, sealing: SealingKey | None = None) -> Json:
    """Return a revision's document."""
    document: Json = {
        "site": site,
        "revision": revision.number,
        "published": revision.published,
        "description": revision.description,
        "previous": revision.previous,
    }
    if sealing is None:
        return {**document, "shared": orjson.loads(revision.document)}
    sealed = sealing.seal(revision.document.encode(), _about(site))
    return {**document, "sealed": base64.b64encode(sealed).decode()}


def revision_from_document(document: object, sealing: tuple[SealingKey, ...] = ()) -> tuple[str, Revision]:
    """Return the site and its revision in `document`. Raises `DocumentError`, also when it can't be unsealed."""
    match document:
        case {
            "site": str(site),
            "revision": int(number),
            "published": int() | float() as published,
            "description": str(description),
            "previous": int(previous),
        }:
            text = _text(site, _table(document), sealing)
        case _:
            raise DocumentError("this is no revision of a configuration: keys are missing or of another kind")
    uses = tuple(uses_in(orjson.loads(text)))
    return site, Revision(number, text, uses, float(published), description, previous)


def _text(site: str, document: Mapping[str, object], sealing: tuple[SealingKey, ...]) -> str:
    match document:
        case {"shared": dict(shared)}:
            return written(_table(shared))
        case {"sealed": str(sealed)}:
            try:
                return written(_table(orjson.loads(unsealed(base64.b64decode(sealed), _about(site), sealing))))
            except SealError as error:
                raise DocumentError(f"configuration: {error}") from error
            except ValueError as error:
                raise DocumentError("configuration: is damaged") from error
        case _:
            raise DocumentError("this is no revision of a configuration: neither shared nor sealed is in it")


def _about(site: str) -> bytes:
    return f"configuration of {site}".encode()


def pointer_to_document(configuration: Configuration) -> Json:
    """Return which revision is in force."""
    return {"current": configuration.current, "last": configuration.last}


def pointer_from_document(document: object) -> tuple[int, int]:
    """Return the revision in force, and the last number that was given. Raises `DocumentError`."""
    match document:
        case {"current": int(current), "last": int(last)}:
            return current, last
        case _:
            raise DocumentError("it does not say which revision is in force")


def uses_in(shared: object) -> Iterator[Use]:
    """Yield which hooks of a configuration need what is published."""
    routes = _table(shared).get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        for event, hook in _table(_table(route).get("hooks")).items():
            named = _table(hook).get("function") if isinstance(hook, dict) else hook
            function, colon, qualifier = str(named).partition(":")
            if colon:
                yield Use(function, qualifier, f"routes[{index}].hooks.{event}")


def _table(document: object) -> Json:
    return {str(key): value for key, value in document.items()} if isinstance(document, dict) else {}
