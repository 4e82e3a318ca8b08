"""What state a module has outside of its memory: an instance whose memory is put back must have that put back, too."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefn.sandbox.wasm.binary import (
    EXPORTS,
    HEADER,
    IMPORTS,
    BinaryError,
    number,
    section,
    sections,
    unsigned,
    vector,
)

_GLOBALS, _CODE = 6, 10
_GLOBAL_KIND = b"\x03"
_MUTABLE = 1
_NUMBERS = frozenset(b"\x7f\x7e\x7d\x7c")
_LARGEST_CODE = 512 * 1024
_NAME = "edgefn:global:%d"

MOST_GLOBALS = 8
"""Mutable globals of a module whose instance may stand ready: each is set anew for each event."""

_LEB = rb"[\x80-\xff]*+[\x00-\x7f]"
_STEPS = re.compile(
    b"(?:%b)*+"
    % b"|".join(
        (
            rb"[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]",
            rb"[\x02-\x04\x0c\x0d\x10\x12\x20-\x25\x3f-\x42\xd0\xd2]" + _LEB,
            rb"[\x11\x13\x28-\x3e]" + _LEB * 2,
            rb"\x43.{4}|\x44.{8}",
            rb"\x1c\x01.",
            rb"\xfc(?:[\x00-\x07]|\x0a" + _LEB * 2 + rb"|[\x0b\x10]" + _LEB + b")",
            rb"\xfd(?:[\x00-\x0b\x5c\x5d]" + _LEB * 2 + rb"|[\x54-\x5b]" + _LEB * 2 + rb".",
            rb"[\x0c\x0d].{16}|[\x15-\x22].|[\x0e-\x14\x23-\x53\x5e-\x7f]|[\x80-\xff][\x01-\x03])",
        )
    ),
    re.DOTALL,
)
"""Instructions that change no table, drop no segment and write none: all others that there are do, or are unknown."""

_BR_TABLE = 0x0E


@dataclass(frozen=True, slots=True)
class Shown:
    """A module that exports its mutable globals, and the names of these exports."""

    source: bytes
    globals: Sequence[str]


def shown(source: bytes) -> Shown | None:
    """Return a module with all of its hidden state in sight; None where it may have other state. Raises `BinaryError`.

    None is not a judgement: only that such a module can't stand ready.
    """
    found = dict(sections(source))
    code = found.get(_CODE, b"")
    if len(code) > _LARGEST_CODE or (IMPORTS in found and _imports_state(found[IMPORTS])):
        return None
    try:
        mutable = list(_mutable(found.get(_GLOBALS, b"\0")))
        if len(mutable) > MOST_GLOBALS or not all(map(_is_harmless, _bodies(code or b"\0"))):
            return None
    except (_UnknownError, IndexError):
        return None
    names = [_NAME % index for index in mutable]
    exports = found.get(EXPORTS, b"\0")
    if any(name.encode() in exports for name in names):
        return None
    return Shown(_with_exports(source, dict(zip(names, mutable, strict=True))), names)


class _UnknownError(Exception):
    """Something is of a form that this does not read."""


def _imports_state(content: bytes) -> bool:
    """Return whether something besides functions is imported. It would come first where things are numbered."""
    count, at = unsigned(content, 0)
    for _ in range(count):
        for _ in range(2):
            size, at = unsigned(content, at)
            at += size
        if content[at] != 0:
            return True
        _, at = unsigned(content, at + 1)
    return False


def _mutable(content: bytes) -> Iterator[int]:
    """Yield the numbers of the mutable globals. Raises `_UnknownError` for one that is no number."""
    count, at = unsigned(content, 0)
    for index in range(count):
        kind, mutability = content[at], content[at + 1]
        if mutability == _MUTABLE:
            if kind not in _NUMBERS:
                raise _UnknownError
            yield index
        constant = _CONSTANT.match(content, at + 2)
        if constant is None:
            raise _UnknownError
        at = constant.end()


_CONSTANT = re.compile(
    rb"(?:[\x41\x42\xd2\x23\xd0]" + _LEB + rb"|\x43.{4}|\x44.{8}|\xfd\x0c.{16}|[\x6a-\x6c\x7c-\x7e])*+\x0b", re.DOTALL
)


def _bodies(content: bytes) -> Iterator[bytes]:
    """Yield the instructions of each function."""
    count, at = unsigned(content, 0)
    for _ in range(count):
        size, at = unsigned(content, at)
        end = at + size
        groups, at = unsigned(content, at)
        for _ in range(groups):
            _, at = unsigned(content, at)
            at += 1
        yield content[at:end]
        at = end


def _is_harmless(instructions: bytes) -> bool:
    at, end = 0, len(instructions)
    while True:
        steps = _STEPS.match(instructions, at)
        at = at if steps is None else steps.end()
        if at == end:
            return True
        if instructions[at] != _BR_TABLE:
            return False
        count, at = unsigned(instructions, at + 1)
        for _ in range(count + 1):
            _, at = unsigned(instructions, at)


def _with_exports(source: bytes, added: dict[str, int]) -> bytes:
    """Return a module that exports these globals as well, behind what it exports already."""
    if not added:
        return source
    made = [HEADER]
    placed = False
    for kind, content in sections(source):
        if kind == EXPORTS:
            made.append(_exports(content, added))
            placed = True
        else:
            made.append(section(kind, content))
    if not placed:
        raise BinaryError("it exports nothing")
    return b"".join(made)


def _exports(content: bytes, added: dict[str, int]) -> bytes:
    count, at = unsigned(content, 0)
    more = b"".join(vector(name.encode()) + _GLOBAL_KIND + number(index) for name, index in added.items())
    return section(EXPORTS, number(count + len(added)) + content[at:] + more)
