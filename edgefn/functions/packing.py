"""A bundle as bytes and back: what a replica keeps as a blob.

A line of JSON with the files' names, modes and sizes, then their bytes, all of it deflated. What comes back is checked
as if a stranger had sent it, and has the same digest.
"""

import re
import zlib
from collections.abc import Iterator

import orjson

from edgefn.functions.bundle import Bundle, BundleError, BundleFile, SizeLimit

MAX_PACKED = 50 * 1024**2
"""Bytes of a packed bundle (AWS: 50 MB zipped)."""

_MAGIC = b"edgefn-bundle-1\n"
_LEVEL = 6
_MOST_HEAD = 64 * 1024**2
_PIECE = 1 << 20
_BROKEN_HEAD = "the packed bundle's list of files is broken"
_HEAD = re.compile(rb'[\[,](\["(?:[^"\\]|\\.){0,8192}",(?:true|false),[0-9]{1,12}\])')
"""One file in the list of files, with what stands before it: as `packed` writes it, and in no other way."""


def packed(bundle: Bundle) -> bytes:
    """Return the bundle as bytes: the same ones for the same bundle. Raises `BundleError` above `MAX_PACKED`."""
    limit = SizeLimit()
    for file in bundle.files:
        limit.add(file.path, len(file.data))
    head = orjson.dumps([[file.path, file.executable, len(file.data)] for file in bundle.files])
    deflating = zlib.compressobj(_LEVEL)
    pieces = [_MAGIC, deflating.compress(head + b"\n")]
    pieces += [deflating.compress(file.data) for file in bundle.files]
    pieces.append(deflating.flush())
    size = sum(len(piece) for piece in pieces)
    if size > MAX_PACKED:
        largest = max(bundle.files, key=lambda file: len(file.data))
        raise BundleError(
            f"the bundle takes {size / 1024**2:.1f} MB when packed; the limit is {MAX_PACKED // 1024**2} MB "
            f"(its largest file is {largest.path!r} with {len(largest.data) / 1024**2:.1f} MB)"
        )
    return b"".join(pieces)


def unpacked(content: bytes) -> Bundle:
    """Return the bundle in `content`. Raises `BundleError` for bytes that `packed` didn't make."""
    if not content.startswith(_MAGIC):
        raise BundleError("these bytes are no packed bundle")
    inflated = _Inflated(content[len(_MAGIC) :])
    limit = SizeLimit()
    files = []
    for path, executable, size in _heads(inflated.line()):
        limit.add(path, size)
        files.append(BundleFile(path, inflated.take(size), executable))
    if not inflated.is_at_end():
        raise BundleError("the packed bundle is longer than it says")
    return Bundle.of(files)


def _heads(line: bytes) -> Iterator[tuple[str, bool, int]]:
    """Yield path, executable and size of each file.

    They are read one by one: of a list that is read whole, a few KB of deflated brackets make gigabytes of objects.
    """
    at, end = 0, len(line) - 1
    while at < end and line != b"[]":
        entry = _HEAD.match(line, at)
        if entry is None or entry[0].startswith(b"[[") != (at == 0):
            raise BundleError(_BROKEN_HEAD)
        at = entry.end()
        try:
            path, executable, size = orjson.loads(entry[1])
        except orjson.JSONDecodeError as error:
            raise BundleError(_BROKEN_HEAD) from error
        yield path, executable, size
    if line not in {b"[]", line[:at] + b"]"}:
        raise BundleError(_BROKEN_HEAD)


class _Inflated:
    """Reads inflated bytes, never more at once than was asked for."""

    def __init__(self, content: bytes) -> None:
        self._inflating = zlib.decompressobj()
        self._rest = content
        self._ready = bytearray()

    def line(self) -> bytes:
        while (end := self._ready.find(b"\n")) < 0:
            if len(self._ready) > _MOST_HEAD or not self._more():
                raise BundleError(_BROKEN_HEAD)
        line = bytes(self._ready[:end])
        del self._ready[: end + 1]
        return line

    def take(self, size: int) -> bytes:
        while len(self._ready) < size:
            if not self._more():
                raise BundleError("the packed bundle is torn")
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def is_at_end(self) -> bool:
        """Return whether all was taken, and all was there: also the check sum at the end."""
        while not self._ready and self._more():
            pass
        return not self._ready and self._inflating.eof and not self._inflating.unused_data

    def _more(self) -> bool:
        if self._inflating.eof:
            return False
        try:
            piece = self._inflating.decompress(self._rest, _PIECE)
        except zlib.error as error:
            raise BundleError(f"the packed bundle is broken: {error}") from error
        self._rest = self._inflating.unconsumed_tail
        self._ready += piece
        return bool(piece) or bool(self._rest)
