"""The outer form of a WebAssembly module: its sections."""

from collections.abc import Iterator

HEADER = b"\0asm\1\0\0\0"
START = 8
"""The id of the section that names the function to run at instantiation."""


class BinaryError(Exception):
    """Bytes are not a module of sections."""


def sections(source: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (id, content) of each section. Raises `BinaryError`."""
    if not source.startswith(HEADER):
        raise BinaryError("it is not a WebAssembly module of version 1")
    at = len(HEADER)
    while at < len(source):
        kind = source[at]
        size, at = unsigned(source, at + 1)
        if at + size > len(source):
            raise BinaryError("its last section is cut off")
        yield kind, source[at : at + size]
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


def has_start(source: bytes) -> bool:
    """Return whether a module runs code when it is instantiated. Raises `BinaryError`."""
    return any(kind == START for kind, _ in sections(source))
