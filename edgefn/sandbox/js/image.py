"""Memory and code of a module, apart: the code once for all functions, the memory of each as a module of its own.

A module of memory only is made into a copy-on-write image by the engine, so that an instance on it begins where the
copied one stood, for the price of the pages that it writes to.
"""

from collections.abc import Iterator

from edgefn.sandbox.wasm.binary import HEADER, BinaryError, number, section, sections, unsigned, vector

PAGE = 65_536
"""Bytes of a page of linear memory."""

_IMPORTS, _MEMORIES, _GLOBALS, _EXPORTS, _DATA_COUNT, _DATA = 2, 5, 6, 7, 12, 11
_PIECE = 4096
_I32_CONST, _END = 0x41, 0x0B
_MEMORY_KIND = b"\x02"
_NO_MAXIMUM = b"\x00"


def memory_module(memory: bytes) -> bytes:
    """Return a module that has this memory, exports it as `memory`, and has nothing else."""
    pieces = list(_filled(memory))
    content = b"".join(b"\x00" + _constant(at) + vector(piece) for at, piece in pieces)
    return b"".join(
        (
            HEADER,
            section(_MEMORIES, number(1) + _NO_MAXIMUM + number(len(memory) // PAGE)),
            section(_EXPORTS, number(1) + vector(b"memory") + _MEMORY_KIND + number(0)),
            section(_DATA, number(len(pieces)) + content),
        )
    )


def code_module(source: bytes) -> bytes:
    """Return a module without imports as one whose memory is imported (as the only import) and has no content.

    Raises `BinaryError` for a module that has imports, or state outside of its memory besides the stack pointer.
    """
    imports = number(1) + vector(b"image") + vector(b"memory") + _MEMORY_KIND + _NO_MAXIMUM + number(1)
    made = [HEADER]
    placed = False
    for kind, content in sections(source):
        _check(kind, content)
        if kind > _IMPORTS and not placed:
            made.append(section(_IMPORTS, imports))
            placed = True
        if kind not in {0, _MEMORIES, _DATA, _DATA_COUNT}:
            made.append(section(kind, content))
    return b"".join(made)


def initial_memory(source: bytes) -> bytes:
    """Return the memory that a module begins with. Raises `BinaryError`."""
    memory = bytearray()
    for kind, content in sections(source):
        if kind == _MEMORIES:
            pages, _ = unsigned(content, 2)
            memory = bytearray(pages * PAGE)
        elif kind == _DATA:
            for at, data in _segments(content):
                memory[at : at + len(data)] = data
    return bytes(memory)


def _check(kind: int, content: bytes) -> None:
    if kind == _IMPORTS:
        raise BinaryError("it has imports")
    if kind == _GLOBALS and unsigned(content, 0)[0] != 1:
        raise BinaryError("it has globals besides the stack pointer")


def _filled(memory: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (position, bytes) of each run of pieces that are not all zeros."""
    start = None
    nothing = bytes(_PIECE)
    for at in range(0, len(memory), _PIECE):
        is_filled = memory[at : at + _PIECE] != nothing
        if is_filled and start is None:
            start = at
        elif not is_filled and start is not None:
            yield start, memory[start:at]
            start = None
    if start is not None:
        yield start, memory[start:]


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (position, bytes) of each active data segment."""
    count, at = unsigned(content, 0)
    for _ in range(count):
        if content[at] != 0 or content[at + 1] != _I32_CONST:
            raise BinaryError("it has data that is not put into its memory at a constant place")
        position, at = unsigned(content, at + 2)
        size, at = unsigned(content, at + 1)
        yield position, content[at : at + size]
        at += size


def _constant(value: int) -> bytes:
    return bytes([_I32_CONST]) + number(value, signed=True) + bytes([_END])
