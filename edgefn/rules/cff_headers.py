"""Headers and cookies, between their lines on the wire and what CloudFront Functions see (AWS: event structure)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from edgefn.model.headers import CONTROL, Headers, Line
from edgefn.model.hook import Event
from edgefn.rules import cff_values
from edgefn.rules.cff_values import Field, Item, Piece, Shown
from edgefn.rules.cff_violation import COOKIES, HEADERS, READ_ONLY_HEADER, invalid
from edgefn.rules.contract_headers import Changes, merged
from edgefn.rules.edge_headers import NOT_ADDED, READ_ONLY, is_hidden
from edgefn.rules.event import REMEMBERED, as_text, as_wire
from edgefn.rules.violation import ViolatedError

_READ_ONLY: Mapping[Event, frozenset[str]] = MappingProxyType(
    {Event.VIEWER_REQUEST: READ_ONLY[Event.VIEWER_REQUEST], Event.VIEWER_RESPONSE: frozenset({"via", "warning"})}
)
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_COOKIE_LINES = frozenset({"cookie", "set-cookie"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_NOT_IN_COOKIE = re.compile(r"[\x00-\x1f\x7f;]")
_NOT_IN_COOKIE_NAME = re.compile(r"[\x00-\x20\x7f;=]")


@lru_cache(REMEMBERED)
def shown_headers(headers: Headers) -> Shown:
    """Return the `headers` of an event: without hidden ones, and without cookies, which have a place of their own.

    Not to be changed: whoever shows the same headers again gets the same map.
    """
    return cff_values.shown((name, {"value": as_text(value)}) for name, value in _visible(headers))


@lru_cache(REMEMBERED)
def shown_cookies(headers: Headers) -> Shown:
    """Return the `cookies` of a request. Not to be changed either."""
    return cff_values.shown(
        (as_text(name), {"value": as_text(value)}) for name, value in map(_split_pair, _pairs(headers))
    )


def shown_set_cookies(headers: Headers) -> Shown:
    """Return the `cookies` of a response."""
    return cff_values.shown(map(_set_cookie, headers.get_all("set-cookie")))


def judged_headers(event: Event, sent: Headers, result: object) -> Headers:
    """Return `sent` with the changes of `result`. Raises `ViolatedError` (AWS: restrictions on headers)."""
    shown = shown_headers(sent)
    if result == shown:
        return sent
    found = cff_values.changes(_HEADERS, shown, _visible(sent), result)
    read_only = _READ_ONLY[event]
    kept: dict[str, tuple[Line, ...]] = {}
    for name, values in found.items():
        _check_name(name)
        before = sent.get_all(name)
        if name in read_only or (name in NOT_ADDED[event] and not before):
            raise _read_only(name, "change" if before and values else "delete" if before else "add")
        if name not in _FRAMING:
            kept[name] = tuple((_cased(name), value) for value in values)
    return merged(sent, kept)


def new_headers(result: object) -> Headers:
    """Return the headers of a response that a function made by itself. Raises `ViolatedError`."""
    found = cff_values.changes(_HEADERS, {}, (), result)
    for name in found:
        _check_name(name)
    return Headers((_cased(name), value) for name, values in found.items() for value in values if name not in _FRAMING)


def with_cookies(sent: Headers, result: object) -> Headers:
    """Return the headers of a request with the `cookies` of `result`. Raises `ViolatedError`."""
    shown = shown_cookies(sent)
    if result == shown:
        return sent
    pieces = [(as_text(_split_pair(pair)[0]), pair) for pair in _pairs(sent)]
    found = cff_values.changes(_COOKIES, shown, pieces, result)
    if not found:
        return sent
    pairs = cff_values.replaced(pieces, found)
    lines: Changes = {"cookie": (("Cookie", "; ".join(pairs)),) if pairs else ()}
    return merged(sent, lines)


def with_set_cookies(sent: Headers, result: object) -> Headers:
    """Return the headers of a response with the `cookies` of `result`. Raises `ViolatedError`."""
    pieces = [(_set_cookie(line)[0], line) for line in sent.get_all("set-cookie")]
    found = cff_values.changes(_SET_COOKIES, shown_set_cookies(sent), pieces, result)
    if not found:
        return sent
    return merged(sent, {"set-cookie": tuple(("Set-Cookie", line) for line in cff_values.replaced(pieces, found))})


@lru_cache(REMEMBERED)
def _visible(headers: Headers) -> tuple[Piece, ...]:
    lines = ((name.lower(), value) for name, value in headers)
    return tuple((name, value) for name, value in lines if name not in _COOKIE_LINES and not is_hidden(name))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(f"headers.{name}", "a header name that is not lower-case, or no name", HEADERS)
    if name in _COOKIE_LINES:
        raise invalid(f"headers.{name}", "a cookie in headers: it belongs into cookies", HEADERS)
    if is_hidden(name):
        raise ViolatedError(f"headers.{name}", "the function tried to add a disallowed header", READ_ONLY_HEADER)


def _read_only(name: str, verb: str) -> ViolatedError:
    return ViolatedError(f"headers.{name}", f"the function tried to {verb} a read-only header", READ_ONLY_HEADER)


def _cased(name: str) -> str:
    """Return a name as CloudFront sends it: the first letter of each part upper-case."""
    return "-".join(part[:1].upper() + part[1:] for part in name.split("-"))


def _header_text(name: str, item: Item) -> str:
    if CONTROL.search(item["value"]):
        raise invalid(f"headers.{name}", "a header with an invalid character", HEADERS)
    return as_wire(item["value"].strip(" \t"))


def _pairs(headers: Headers) -> Iterable[str]:
    """Return the pairs of all Cookie lines (RFC 6265 section 4.2)."""
    return [pair for line in headers.get_all("cookie") for pair in map(str.strip, line.split(";")) if pair]


def _split_pair(pair: str) -> Piece:
    name, _, value = pair.partition("=")
    return name.rstrip(), value.lstrip()


def _cookie_text(name: str, item: Item) -> str:
    if _NOT_IN_COOKIE_NAME.search(name) or not name or _NOT_IN_COOKIE.search(item["value"]):
        raise invalid(f"cookies.{name}", "a cookie with an invalid character", COOKIES)
    return as_wire(f"{name}={item['value']}")


def _set_cookie(line: str) -> tuple[str, Item]:
    """Return the name of a Set-Cookie line and its item: all behind the first ";" are attributes, in one string."""
    pair, _, attributes = line.partition(";")
    name, value = _split_pair(pair.strip())
    item = {"value": as_text(value)}
    if attributes.strip():
        item["attributes"] = as_text(attributes.strip())
    return as_text(name), item


def _set_cookie_text(name: str, item: Item) -> str:
    pair, attributes = _cookie_text(name, item), item.get("attributes", "")
    if CONTROL.search(attributes):
        raise invalid(f"cookies.{name}", "a cookie with an invalid character", COOKIES)
    return f"{pair}; {as_wire(attributes)}" if attributes else pair


_HEADERS = Field("headers", HEADERS, _header_text)
_COOKIES = Field("cookies", COOKIES, _cookie_text)
_SET_COOKIES = Field("cookies", COOKIES, _set_cookie_text, ("attributes",))
