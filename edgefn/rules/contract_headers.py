"""What a function may do to headers. A map that comes back unchanged leaves every line, byte and case as it was."""

from collections.abc import Mapping
from typing import TypeAlias

from edgefn.model.headers import CONTROL, NO_HEADERS, TOKEN, Headers, Line
from edgefn.model.hook import Event
from edgefn.model.hot import hot_dataclass
from edgefn.rules.edge_headers import NOT_ADDED, READ_ONLY, is_hidden
from edgefn.rules.event import HeaderMap, as_text, as_wire, shown_headers
from edgefn.rules.violation import HEADER, HEADER_ENTRY, HIDDEN_HEADER, READ_ONLY_HEADER, ViolatedError

Changes: TypeAlias = Mapping[str, tuple[Line, ...]]
"""The new lines of each name that a function touched, by lower-case name. No lines: it deleted the name."""


@hot_dataclass(frozen=True, slots=True)
class HeaderField:
    """A header map in a result: where it stands, what it was made from, and the sentences for a malformed one."""

    path: str
    sent: Headers
    shown: HeaderMap
    malformed: str = HEADER
    not_array: str = HEADER_ENTRY


def judge_headers(event: Event, sent: Headers, result: object) -> Headers:
    """Return `sent` with the changes that `result` makes to it.

    Raises `ViolatedError` when `result` is malformed, or changes what is not the function's to change.
    """
    found = allowed(event, sent, changes(message_field(sent), result))
    return merged(sent, found)


def new_headers(result: object) -> Headers:
    """Return the headers of a response that a function made by itself. Raises `ViolatedError`."""
    found = changes(message_field(NO_HEADERS), result)
    for name in found:
        _refuse_hidden(name)
    return merged(NO_HEADERS, found)


def message_field(sent: Headers) -> HeaderField:
    """Return the `headers` of a request or response in an event."""
    return HeaderField("headers", sent, shown_headers(sent))


def changes(field: HeaderField, result: object) -> Changes:
    """Return what differs between `result` and what the function was shown.

    Raises `ViolatedError` when `result` is not a header map, or something new in it is not fit for the wire.
    """
    if result == field.shown:
        return {}
    if not isinstance(result, dict):
        raise ViolatedError(field.path, "the function returned headers that are not an object", field.malformed)
    found: dict[str, tuple[Line, ...]] = {}
    seen: set[str] = set()
    for name, entries in result.items():
        lowered = name.lower()
        if lowered in seen:
            raise ViolatedError(f"{field.path}.{name}", "the function returned a header name twice", field.malformed)
        seen.add(lowered)
        if lowered not in field.shown or entries != field.shown[lowered]:
            found[lowered] = _lines(field, lowered, entries)
    found.update((name, ()) for name in field.shown if name not in seen)
    return found


def allowed(event: Event, sent: Headers, found: Changes) -> Changes:
    """Return what of `found` is a real change (AWS: restrictions on headers).

    A read-only header that has only lost its `key`, or got another case, is unchanged.
    Raises `ViolatedError` for hidden headers, and for read-only ones that were added, changed or deleted.
    """
    kept: dict[str, tuple[Line, ...]] = {}
    for name, lines in found.items():
        _refuse_hidden(name)
        before = sent.get_all(name)
        if name in READ_ONLY[event]:
            if before != tuple(value for _, value in lines):
                raise _read_only(name, _verb(before, lines))
        elif name in NOT_ADDED[event] and lines and not before:
            raise _read_only(name, "add")
        else:
            kept[name] = lines
    return kept


def merged(sent: Headers, found: Changes) -> Headers:
    """Return `sent` with the lines of `found`: in the place of the name's first line, new names at the end."""
    if not found:
        return sent
    waiting = dict(found)
    lines: list[Line] = []
    for line in sent:
        name = line[0].lower()
        if name in found:
            lines.extend(waiting.pop(name, ()))
        else:
            lines.append(line)
    for added in waiting.values():
        lines.extend(added)
    return Headers(lines)


def _lines(field: HeaderField, name: str, entries: object) -> tuple[Line, ...]:
    path = f"{field.path}.{name}"
    if not isinstance(entries, list):
        rule = "the function returned an invalid header, each header entry must be an array"
        raise ViolatedError(path, rule, field.not_array)
    originals = field.sent.get_all(name)
    known = {as_text(value): value for value in reversed(originals)}
    lines: list[Line] = []
    for position, entry in enumerate(entries):
        key, value = _entry(field, name, entry)
        if position < len(originals) and as_text(originals[position]) == value:
            lines.append((key, originals[position]))
        elif value in known:
            lines.append((key, known[value]))
        else:
            lines.append((key, _new_value(field, name, value)))
    return tuple(lines)


def _entry(field: HeaderField, name: str, entry: object) -> Line:
    """Return the name to send, and the value as the function gave it."""
    path = f"{field.path}.{name}"
    if isinstance(entry, str):
        entry = {"value": entry}
    if not isinstance(entry, dict):
        raise ViolatedError(path, "the function returned an invalid header, not an object", field.malformed)
    key, value = entry.get("key"), entry.get("value")
    if not isinstance(value, str):
        raise ViolatedError(path, "the function returned an invalid header, no string as value", field.malformed)
    if key is None:
        key = "-".join(part.capitalize() for part in name.split("-"))
    if not isinstance(key, str) or key.lower() != name:
        raise ViolatedError(path, "the function returned an invalid header, key differs from name", field.malformed)
    if not TOKEN.fullmatch(key):
        raise ViolatedError(path, "the function returned an invalid header, invalid header name", field.malformed)
    return key, value


def _new_value(field: HeaderField, name: str, value: str) -> str:
    """Return `value` for the wire, without the outer blanks that are no part of it (RFC 9110 section 5.5)."""
    if bad := CONTROL.search(value):
        shown = f"%{ord(bad[0]):02X}"
        rule = f"the function returned an invalid header, invalid character : '{shown}' in header value"
        raise ViolatedError(f"{field.path}.{name}", rule, field.malformed)
    return as_wire(value.strip(" \t"))


def _refuse_hidden(name: str) -> None:
    if is_hidden(name):
        raise ViolatedError(f"headers.{name}", "the function tried to add a blacklisted header", HIDDEN_HEADER)


def _read_only(name: str, verb: str) -> ViolatedError:
    return ViolatedError(f"headers.{name}", f"the function tried to {verb} read-only header", READ_ONLY_HEADER)


def _verb(before: tuple[str, ...], after: tuple[Line, ...]) -> str:
    if not before:
        return "add"
    return "change" if after else "delete"
