"""Frames of the control socket: two little-endian u32 lengths, a JSON header, a raw body.

The worker speaks only when asked, one frame at a time: anything else it sends is a violation, and is refused
before a byte of it is stored beyond the limits below. What the header and body mean is `messages`' matter.
"""

import struct
from dataclasses import dataclass

PREFIX = struct.Struct("<II")

HEADER_LIMIT = 1024 * 1024
"""Bytes of a worker's header: an error document that the bootstrap has already cut to size."""

RESULT_LIMIT = 6_291_556
"""Bytes of a worker's body: AWS's limit for the payload of a response (AWS: Lambda quotas)."""


class FrameError(Exception):
    """The worker broke the protocol; the message says how."""


class OversizeError(FrameError):
    """The worker announced a result that is larger than a function may return."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message on the control socket."""

    header: bytes
    body: bytes = b""


def encoded(header: bytes, body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return b"".join((PREFIX.pack(len(header), len(body)), header, body))


class FrameReader:
    """Puts one frame at a time together from what the socket yields."""

    __slots__ = ("_have", "_need", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0

    def feed(self, data: bytes) -> Frame | None:
        """Take `data`; return the frame once it is whole, None before that.

        Raises `FrameError` for lengths beyond the limits and for bytes behind the frame's end.
        """
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < max(self._need, PREFIX.size):
                return None
            data = b"".join(self._parts)
        size = _announced(data)
        if len(data) < size:
            self._parts, self._have, self._need = [data], len(data), size
            return None
        if len(data) > size:
            raise FrameError("bytes behind the end of a frame")
        self._parts, self._have, self._need = [], 0, 0
        return _split(data)


def _announced(data: bytes) -> int:
    """Return how many bytes the frame that starts with `data` has in all; at least a prefix while that is not here."""
    if len(data) < PREFIX.size:
        return PREFIX.size
    header, body = PREFIX.unpack_from(data)
    if header > HEADER_LIMIT:
        raise FrameError(f"a header of {header} bytes")
    if body > RESULT_LIMIT:
        raise OversizeError(f"a result of {body} bytes")
    return PREFIX.size + int(header) + int(body)


def _split(data: bytes) -> Frame:
    header, _ = PREFIX.unpack_from(data)
    end = PREFIX.size + header
    return Frame(data[PREFIX.size : end], data[end:])
