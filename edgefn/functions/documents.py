"""What is published as JSON documents, to and fro. A function's settings have the shape of `functions.NAME` in YAML.

They are read by the very table that reads the configuration, so what may not stand there may not stand here.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import orjson

from edgefn.configuration.document import NestingError, node_of
from edgefn.configuration.functions import FUNCTION
from edgefn.configuration.kinds import MEGABYTE, Duration, Size
from edgefn.configuration.reading import Reading, WrongError
from edgefn.functions.sealing import SealError, SealingKey, unsealed
from edgefn.model.publishing import Alias, Blob, Garbage, Manifest, RollbackRule, Sticky, StickyBy, Target
from edgefn.model.settings import FunctionSettings

Json: TypeAlias = dict[str, object]

NOT_PUBLISHED = frozenset({"path", "layers"})
"""Settings that say where the files come from: a version has its files already."""

_DIGEST = 64
_MOST_TARGETS = 2
_REMEMBERED = 512


class DocumentError(Exception):
    """A document does not say what it should. The message names the key, what is wrong and what would be right."""


def settings_to_document(settings: FunctionSettings) -> Json:
    """Return a function's settings as `functions.NAME` has them, defaults too: they may change, a version may not."""
    document: Json = {}
    for known in FUNCTION.fields:
        if known.key not in NOT_PUBLISHED:
            value: object = getattr(settings, known.key)
            if value or known.default is not None:  # else it is one that was not given, and has no default
                document[known.key] = _written(known.kind, value)
    return document


def _written(kind: object, value: object) -> object:
    match kind, value:
        case Duration(), float() | int():
            return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
        case Size(unit=unit), int():
            return f"{value}{'MB' if unit == MEGABYTE else 'B'}"
        case _:
            return _plain(value)


def _plain(value: object) -> object:
    match value:
        case tuple() | list():
            return [_plain(each) for each in value]
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case _:
            return value


def settings_from_document(name: str, document: Mapping[str, object]) -> FunctionSettings:
    """Return the settings in `document`, with path "". Raises `DocumentError` with all that is wrong with them."""
    try:
        text = orjson.dumps(document)
    except orjson.JSONEncodeError as error:  # its depth has a limit
        raise DocumentError("settings: tables and lists are nested more than 8 deep") from error
    return replace(_settings(text), name=name)


@lru_cache(_REMEMBERED)
def _settings(text: bytes) -> FunctionSettings:
    """Return the settings in a JSON text. Most versions have those of the one before: reading them takes 0.3 ms."""
    document: dict[str, object] = orjson.loads(text)
    for key in sorted(NOT_PUBLISHED & document.keys()):
        raise DocumentError(f"{key}: means nothing here; the files are published beside the settings")
    reading = Reading("/")
    try:
        settings = FUNCTION.read(node_of({**document, "path": "code"}), "", reading)
    except NestingError as error:
        raise DocumentError(f"settings: {error}") from error
    except WrongError as error:
        if error.what:
            reading.wrong(error.line, "", error.what)
        settings = None
    if settings is None or reading.problems:
        raise DocumentError("; ".join(what for _, what in reading.problems) or "the settings are incomplete")
    return replace(settings, path="")


def manifest_to_document(manifest: Manifest, sealing: SealingKey | None = None) -> Json:
    """Return a version's document. With a key its environment is sealed in it."""
    settings = settings_to_document(manifest.settings)
    blob = manifest.blob
    document: Json = {
        "function": manifest.function,
        "version": manifest.version,
        "description": manifest.description,
        "published": manifest.published,
        "bundle": manifest.bundle,
        "blob": {"digest": blob.digest, "size": blob.size, **_given(url=blob.url, seal=blob.seal)},
        "settings": settings,
    }
    if sealing is not None and manifest.settings.environment:
        sealed = sealing.seal(orjson.dumps(settings.pop("environment")), _about(manifest.function))
        document["environment"] = base64.b64encode(sealed).decode()
    return document


def manifest_from_document(document: object, sealing: tuple[SealingKey, ...] = ()) -> Manifest:
    """Return the version in `document`. Raises `DocumentError`, also when its environment can't be unsealed."""
    match document:
        case {
            "function": str(function),
            "version": int(version),
            "description": str(description),
            "published": int() | float() as published,
            "bundle": str(bundle),
            "blob": {"digest": str(digest), "size": int(size), **elsewhere},
            "settings": dict(settings),
        } if len(digest) == _DIGEST:
            sealed = _table(document).get("environment")
        case _:
            raise DocumentError("this is no version's document: keys are missing or of another kind")
    if isinstance(sealed, str):
        settings = {**settings, "environment": _environment(sealed, function, sealing)}
    blob = Blob(digest, size, str(elsewhere.get("url", "")), str(elsewhere.get("seal", "")))
    return Manifest(settings_from_document(function, settings), version, bundle, blob, description, float(published))


def _given(**texts: str) -> dict[str, str]:
    return {key: text for key, text in texts.items() if text}


def _environment(text: str, function: str, sealing: tuple[SealingKey, ...]) -> object:
    try:
        environment: object = orjson.loads(unsealed(base64.b64decode(text), _about(function), sealing))
    except SealError as error:
        raise DocumentError(f"environment: {error}") from error
    except ValueError as error:
        raise DocumentError("environment: is damaged") from error
    return environment


def _table(document: object) -> Mapping[str, object]:
    return {str(key): value for key, value in document.items()} if isinstance(document, dict) else {}


def _about(function: str) -> bytes:
    return f"environment of {function}".encode()


def alias_to_document(alias: Alias) -> Json:
    """Return an alias's document."""
    rule = alias.rollback
    return {
        "function": alias.function,
        "name": alias.name,
        "targets": [{"version": target.version, "weight": target.weight} for target in alias.targets],
        "sticky": {"by": alias.sticky.by.value, "name": alias.sticky.name},
        "rollback": None
        if rule is None
        else {"error_rate": rule.error_rate, "invocations": rule.invocations, "window": rule.window},
        "previous": alias.previous,
        "description": alias.description,
    }


def alias_from_document(document: object) -> Alias:
    """Return the alias in `document`; what may be left out has its default. Raises `DocumentError`."""
    match document:
        case {"function": str(function), "name": str(name), "targets": list(targets)}:
            rest = _table(document)
        case _:
            raise DocumentError("this is no alias's document: function, name or targets are missing or of another kind")
    if not 1 <= len(targets) <= _MOST_TARGETS:
        raise DocumentError(f"targets: must be one or {_MOST_TARGETS}, not {len(targets)}")
    previous = rest.get("previous")
    description = rest.get("description", "")
    if not isinstance(previous, int | None) or not isinstance(description, str):
        raise DocumentError("previous must be a version or null, description a text")
    return Alias(
        function,
        name,
        tuple(_target(target) for target in targets),
        _sticky(rest.get("sticky")),
        _rollback(rest.get("rollback")),
        previous,
        description,
    )


def _target(document: object) -> Target:
    match document:
        case {"version": int(version), "weight": int(weight)} if not isinstance(version, bool):
            return Target(version, weight)
        case _:
            raise DocumentError("targets: must be a list of version and weight, in 1/10,000")


def _sticky(document: object) -> Sticky:
    match document:
        case None:
            return Sticky()
        case {"by": "none"}:
            return Sticky()
        case {"by": ("cookie" | "header") as by, "name": str(name)}:
            return Sticky(StickyBy(by), name.lower() if by == StickyBy.HEADER else name)
        case _:
            raise DocumentError("sticky: must have by (none, cookie or header) and name")


def _rollback(document: object) -> RollbackRule | None:
    match document:
        case None:
            return None
        case {"error_rate": int() | float() as rate}:
            invocations = _table(document).get("invocations", 20)
            window = _table(document).get("window", 60.0)
            if isinstance(invocations, int) and isinstance(window, int | float):
                return RollbackRule(float(rate), invocations, float(window))
        case _:
            pass
    raise DocumentError("rollback: must have error_rate (0 to 1), and may have invocations and window (seconds)")


def garbage_to_document(garbage: Mapping[str, Garbage]) -> Json:
    """Return the document of the blobs that nothing refers to."""
    return {
        digest: {"since": each.since, "generation": each.generation, "deleting": each.deleting}
        for digest, each in garbage.items()
    }


def garbage_from_document(document: object) -> dict[str, Garbage]:
    """Return the blobs that nothing refers to. Raises `DocumentError`."""
    garbage = {}
    for digest, each in document.items() if isinstance(document, dict) else ():
        match each:
            case {
                "since": int() | float() as since,
                "generation": int(generation),
                "deleting": int() | float() as deleting,
            }:
                garbage[str(digest)] = Garbage(float(since), generation, float(deleting))
            case _:
                raise DocumentError("garbage: must be a table of digests with since, generation and deleting")
    return garbage
