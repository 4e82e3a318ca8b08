"""What is different between two configurations, setting by setting. Values that may be secret are not told."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from edgefn.configuration.sharing import HIDDEN
from edgefn.model.origin import PEM_BEGIN

Flat: TypeAlias = dict[str, str]

_HEADERS: Final = "headers"


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting by its key path. `old` is None where it is new, `new` where it goes."""

    path: str
    old: str | None
    new: str | None


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[Difference]:
    """Return what changes from one published configuration to the next, in the order of the keys.

    Routes are compared by their paths: `routes["/static/*"].origin`. Where only their order changes, `routes` says so.
    """
    old, new = _flat(before), _flat(after)
    found = []
    for path in dict.fromkeys((*new, *old)):
        was, will = old.get(path), new.get(path)
        if was != will:
            found.append(Difference(path, _told(path, was), _told(path, will)))
    return found + list(_reordered(before.get("routes"), after.get("routes")))


def _flat(document: Mapping[str, object]) -> Flat:
    return {path: text for key, value in document.items() for path, text in _leaves(value, key)}


def _leaves(value: object, at: str) -> Iterator[tuple[str, str]]:
    match value:
        case Mapping() if value:
            for key, each in value.items():
                yield from _leaves(each, f"{at}.{key}")
        case list() if value and not _is_plain(value):
            for name, each in _named(value):
                yield from _leaves(each, f"{at}[{name}]")
        case list():
            yield at, f"[{', '.join(map(_text, value))}]"
        case Mapping():
            yield at, "{}"
        case _:
            yield at, _text(value)


def _text(value: object) -> str:
    return "null" if value is None else str(value)


def _is_plain(items: Sequence[object]) -> bool:
    return not any(isinstance(item, Mapping | list) for item in items)


def _named(items: Sequence[object]) -> list[tuple[str, object]]:
    """Return the members of a list with what tells them apart: their paths if they have some, else their places."""
    paths = _paths(items)
    if len(set(paths)) == len(items):
        rests = [
            {key: value for key, value in item.items() if key != "path"} for item in items if isinstance(item, Mapping)
        ]
        return [(f'"{path}"', rest) for path, rest in zip(paths, rests, strict=True)]
    return [(str(index), item) for index, item in enumerate(items)]


def _paths(items: object) -> list[str]:
    members = items if isinstance(items, list) else []
    return [str(item["path"]) for item in members if isinstance(item, Mapping) and "path" in item]


def _reordered(before: object, after: object) -> Iterator[Difference]:
    old, new = _paths(before), _paths(after)
    common = [path for path in old if path in new]
    if common != [path for path in new if path in old]:
        yield Difference("routes", f"order: {' '.join(old)}", f"order: {' '.join(new)}")


def _told(path: str, text: str | None) -> str | None:
    """Return a value as it may be told: the headers for an origin may hold what only the origin shall know."""
    if text is None or not path.startswith("origins."):
        return text
    if path.endswith(".tls.ca") and PEM_BEGIN in text:
        count = text.count(PEM_BEGIN)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{count} certificate{'' if count == 1 else 's'} (SHA-256 {digest}...)"
    return HIDDEN if f".{_HEADERS}." in path else text
