"""What a purge is about: which stored responses it hits. All stores ask it.

A key is a URI in three lines (scheme, authority, target), perhaps with an extension behind a CR. A *place* is the same
key with the authority first, so that what lies on one host, and below one path, lies together in order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from edgefn.rules.cache_key import EXTENSION, uri_of

TOP = b"\xff"
"""Greater than any byte of a place: no UTF-8 has it."""

_ANY = "*"
_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class ByKey:
    """One key, with all that extend it behind a CR. The key of a URI is the URI's with all its extensions."""

    key: str


@dataclass(frozen=True, slots=True)
class ByPath:
    """All targets (path and query) like `pattern`, on one host or on all.

    `*` as its last character stands for any characters, anywhere else for itself (AWS: invalidation paths).
    """

    pattern: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class ByHost:
    """All of one authority, in lower case."""

    host: str


@dataclass(frozen=True, slots=True)
class ByTag:
    """All that bear the tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Everything:
    """All there is."""


Purge: TypeAlias = ByKey | ByPath | ByHost | ByTag | Everything


def place_of(key: str) -> str:
    """Return where `key` lies in the index."""
    uri, extension, rest = key.partition(EXTENSION)
    parts = uri.split("\n", 2)
    scheme, host, target = parts if len(parts) == 3 else ("", "", uri)
    return f"{host}\n{scheme}\n{target}{extension}{rest}"


def hits(purge: Purge, place: str, tags: tuple[str, ...]) -> bool:
    """Return whether the purge is about what lies at `place` with these tags."""
    match purge:
        case ByKey(key):
            own = place_of(key)
            return place == own or place.startswith(own + EXTENSION)
        case ByPath(pattern, host):
            own_host, _, rest = uri_of(place).partition("\n")
            return host in {None, own_host} and _is_like(pattern, rest.partition("\n")[2])
        case ByHost(host):
            return place.startswith(f"{host}\n")
        case ByTag(tag):
            return tag in tags
        case Everything():
            return True


def sieved(purge: Purge, keys: Iterable[str]) -> list[str]:
    """Return those of the keys of which `hits` must still be asked; that is cheap, and all others are not hit."""
    match purge:
        case ByHost(host):
            begins = tuple(f"{scheme}\n{host}\n" for scheme in _SCHEMES)
            return [key for key in keys if key.startswith(begins)]
        case ByPath(pattern, None):
            piece = f"\n{pattern.removesuffix(_ANY)}"
            return [key for key in keys if piece in key]
        case ByPath(pattern, host):
            begins = tuple(f"{scheme}\n{host}\n{pattern.removesuffix(_ANY)}" for scheme in _SCHEMES)
            return [key for key in keys if key.startswith(begins)]
        case ByKey(own):
            return [key for key in keys if key.startswith(own)]
        case ByTag() | Everything():
            return list(keys)


def _is_like(pattern: str, target: str) -> bool:
    if pattern.endswith(_ANY):
        return target.startswith(pattern.removesuffix(_ANY))
    return target == pattern


def ranges(purge: ByKey | ByPath | ByHost, authorities: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the ranges, each from a place up to before another, that what it hits lies in.

    `authorities` are what the places there are begin with, two lines each: authority and scheme.
    """
    return [(begin, begin + TOP) for begin in _begins(purge, authorities)]


def _begins(purge: ByKey | ByPath | ByHost, authorities: Sequence[bytes]) -> list[bytes]:
    match purge:
        case ByKey(key):
            return [place_of(key).encode()]
        case ByHost(host):
            return [f"{host}\n".encode()]
        case ByPath(pattern, host):
            fixed = pattern.removesuffix(_ANY).encode()
            own = b"" if host is None else f"{host}\n".encode()
            return [begin + fixed for begin in authorities if begin.startswith(own)]


def written(purge: Purge) -> str:
    """Return the purge as text that `read` takes."""
    return orjson.dumps(_fields(purge)).decode()


def _fields(purge: Purge) -> tuple[str | None, ...]:
    match purge:
        case ByKey(key):
            return "key", key
        case ByPath(pattern, host):
            return "path", pattern, host
        case ByHost(host):
            return "host", host
        case ByTag(tag):
            return "tag", tag
        case Everything():
            return ("everything",)


def read(text: str) -> Purge:
    """Return the purge that was written. What can't be read hits everything: rather too much than too little."""
    try:
        fields: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Everything()
    match fields:
        case ["key", str(key)]:
            return ByKey(key)
        case ["path", str(pattern), (str() | None) as host]:
            return ByPath(pattern, host)
        case ["host", str(host)]:
            return ByHost(host)
        case ["tag", str(tag)]:
            return ByTag(tag)
        case _:
            return Everything()
