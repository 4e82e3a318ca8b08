"""What the locations of a site share of their configuration, and what is each one's own.

A location's own file says what the machine is: its name, where it listens, its disks, its sandboxes, the functions that
lie on it. What is published (`edgefn apply`) says how viewers are answered, everywhere alike.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from edgefn.configuration.document import Entry, Items, Node, Scalar, Table, json_of, node_of
from edgefn.configuration.location import LOCATION
from edgefn.configuration.reading import Json, Reading, did_you_mean

SHARED: Final = (
    "origins",
    "origin_groups",
    "routes",
    "default_root_object",
    "error_pages",
    "quotas",
    "viewer",
    "distribution",
)
"""The keys at the top of the file that a published configuration may have."""

HIDDEN: Final = "(not shown)"
_OWN: Final = frozenset(known.key for known in LOCATION.fields if known.key not in SHARED)
_STUB: Final = (("location", "published"), ("listen", "127.0.0.1:0"))


def is_whole(document: Node) -> bool:
    """Return whether this is a location's whole file, and not only what locations share."""
    return any(entry.key in dict(_STUB) for entry in _entries(document))


def shared_part(document: Node) -> Json:
    """Return what locations share of a configuration."""
    return {entry.key: json_of(entry.value) for entry in _entries(document) if entry.key in SHARED}


def as_written(shared: Mapping[str, object]) -> Json:
    """Return a published configuration as a file would have it: all values are texts."""
    return {key: json_of(node_of(value)) for key, value in shared.items()}


def own_keys(document: Node) -> tuple[str, ...]:
    """Return the keys of a file that are not published."""
    return tuple(entry.key for entry in _entries(document) if entry.key not in SHARED and entry.key != "site")


def site_in(document: Node, default: str) -> str:
    """Return the site that a file names."""
    named = (entry.value for entry in _entries(document) if entry.key == "site")
    return next((node.text for node in named if isinstance(node, Scalar)), default)


def with_shared(document: Node, shared: Mapping[str, object]) -> Node:
    """Return a location's file in which `shared` takes the place of all that locations share."""
    if not isinstance(document, Table):
        return document
    brought = node_of(shared)
    own = (entry for entry in document.entries if entry.key not in SHARED)
    return Table((*own, *_entries(brought)), document.line)


def as_whole(document: Node, reading: Reading) -> Node:
    """Return what locations share as if it were a file of a location. Reports the keys that do not belong there."""
    if not isinstance(document, Table):
        return document
    for entry in document.entries:
        if entry.key in _OWN and entry.key != "site":
            reading.wrong(entry.line, entry.key, "is each location's own; write it into the location's own file")
        elif entry.key not in SHARED and entry.key != "site":
            reading.wrong(entry.line, entry.key, f"is no setting that is published; {did_you_mean(entry.key, SHARED)}")
    stub = (Entry(key, Scalar(text, document.line), document.line) for key, text in _STUB)
    return Table((*stub, *(entry for entry in document.entries if entry.key in SHARED)), document.line)


def shown(shared: Mapping[str, object]) -> Json:
    """Return what may be told of a published configuration: the headers for origins may hold secrets."""
    told = dict(shared)
    origins = told.get("origins")
    if isinstance(origins, Mapping):
        told["origins"] = {name: _without_secrets(origin) for name, origin in origins.items()}
    return told


def _without_secrets(origin: object) -> object:
    if not isinstance(origin, Mapping) or not isinstance(origin.get("headers"), Mapping):
        return origin
    return {**origin, "headers": dict.fromkeys(origin["headers"], HIDDEN)}


def _entries(document: Node) -> Iterator[Entry]:
    match document:
        case Table(entries=entries):
            yield from entries
        case Scalar() | Items():
            return
