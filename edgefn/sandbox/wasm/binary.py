"""The outer form of a WebAssembly module: its sections."""

from collections.abc import Iterator
from dataclasses import dataclass

HEADER = b"\0asm\1\0\0\0"
IMPORTS, EXPORTS, START = 2, 7, 8
"""Ids of sections; the last one names the function to run at instantiation."""


class BinaryError(Exception):
    """Bytes are not a module of sections."""


def sections(source: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (id, content) of each section. Raises `BinaryError`."""
    for kind, start, end in extents(source):
        yield kind, source[start:end]


def extents(source: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (id, start, end) of each section's content. Raises `BinaryError`."""
    if not source.startswith(HEADER):
        raise BinaryError("it is not a WebAssembly module of version 1")
    at = len(HEADER)
    while at < len(source):
        kind = source[at]
        size, at = unsigned(source, at + 1)
        if at + size > len(source):
            raise BinaryError("its last section is cut off")
        yield kind, at, at + size
        at += size


def unsigned(source: bytes, at: int) -> tuple[int, int]:
    """Return the LEB128 integer at a position, and the position behind it. Raises `BinaryError`."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(source):
            raise BinaryError("it is cut off")
        byte = source[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BinaryError("an integer in it is too long")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a module is like from outside. `starts`: it runs code when it is instantiated."""

    starts: bool
    imports: int
    exports: int


def shape_of(source: bytes) -> Shape:
    """Return a module's shape, as it says itself. Raises `BinaryError`."""
    starts, counts = False, {IMPORTS: 0, EXPORTS: 0}
    for kind, start, end in extents(source):
        starts = starts or kind == START
        if kind in counts and start < end:
            counts[kind] = unsigned(source, start)[0]
    return Shape(starts, counts[IMPORTS], counts[EXPORTS])


def section(kind: int, content: bytes) -> bytes:
    """Return a section."""
    return bytes([kind]) + vector(content)


def vector(content: bytes) -> bytes:
    """Return bytes behind their count."""
    return number(len(content)) + content


def number(value: int, *, signed: bool = False) -> bytes:
    """Return the LEB128 form of a number that is not negative."""
    made = bytearray()
    last = 0x40 if signed else 0x80
    while value >= last:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
