"""What the control API is made of: endpoints, each with its scope and its words in the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from aiohttp import web

Json: TypeAlias = Mapping[str, object]
Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
TEXT: Final = "text/plain"


class Scope(StrEnum):
    """What a token lets its holder do."""

    READ = "read"
    DEPLOY = "deploy"
    PURGE = "purge"
    JOIN = "join"
    ADMIN = "admin"

    def includes(self, wanted: "Scope") -> bool:
        """Return whether this scope is enough for `wanted`: admin for everything, deploy also for reading."""
        return wanted is self or self is Scope.ADMIN or (self is Scope.DEPLOY and wanted is Scope.READ)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query string, by its JSON Schema."""

    name: str
    summary: str
    schema: Json = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Media:
    """A body: its media type, and the JSON Schema of what is in it (of each line, for `LINES`)."""

    type: str
    schema: Json


def json_of(schema: Json) -> Media:
    """Return a JSON body."""
    return Media(JSON, schema)


def table(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    """Return the schema of an object with these members."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def list_of(items: Json) -> Json:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


STRING: Final[Json] = {"type": "string"}
WHOLE: Final[Json] = {"type": "integer"}
NUMBER: Final[Json] = {"type": "number"}
TRUTH: Final[Json] = {"type": "boolean"}
STRINGS: Final[Json] = list_of(STRING)
ANYTHING: Final[Json] = {}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. `id` is what the audit log and the OpenAPI document call it; `path` is as in `web.Router`."""

    id: str
    method: str
    path: str
    scope: Scope
    summary: str
    handle: Handle
    gives: Media
    takes: Media | None = None
    query: tuple[Parameter, ...] = ()
    status: int = 200
