"""The chunked transfer coding, taken off (RFC 9112 section 7.1). No I/O."""

import re
from enum import Enum, auto

from edgefn.model.errors import OriginFailure
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.wire.response_head import BrokenResponseError, invalid, read_fields

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*+;[^\r\n\0]*+)?\r\n")
_SIZE_LINE_BOUND = 4096
_STEPS = 512  # in one call: about 170 chunks, a fraction of a millisecond


class _Step(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()
    DONE = auto()


class Dechunker:
    """Decodes one chunked body, in whatever pieces it arrives.

    `done` once the end has been seen: then `rest` is what came behind it, and `trailers` are known. `behind`: one call
    decodes only so many chunks, lest a flood of tiny ones holds the loop; the next call goes on. `taken` is how many
    bytes the last call has decoded.
    """

    __slots__ = ("_at", "_data", "_left", "_step", "_trailers_bound", "behind", "rest", "taken", "trailers")

    def __init__(self, trailers_bound: int) -> None:
        self._trailers_bound = trailers_bound
        self._step = _Step.SIZE
        self._data = b""
        self._at = 0
        self._left = 0
        self.behind = False
        self.rest = b""
        self.taken = 0
        self.trailers = NO_HEADERS

    @property
    def done(self) -> bool:
        """Return whether the last chunk and the trailer section are over."""
        return self._step is _Step.DONE

    def feed(self, data: bytes) -> bytes:
        """Return the content in `data`, which may be empty. Raises `BrokenResponseError`."""
        if data:
            self._data = self._data[self._at :] + data if self._data else data
            self._at = 0
        began, steps = self._at, 0
        pieces: list[bytes] = []
        while self._advance(pieces):
            steps += 1
            if steps == _STEPS:
                break
        self.behind = steps == _STEPS
        self.taken = self._at - began
        if not self.behind:
            self._settle()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _settle(self) -> None:
        """Keep only what is not decoded yet."""
        left, self._at = self._data[self._at :], 0
        if self.done:
            self.rest, self._data = left, b""
        else:
            self._data = left

    def _advance(self, pieces: list[bytes]) -> bool:
        """Take one step; return whether another may follow at once."""
        match self._step:
            case _Step.SIZE:
                return self._read_size()
            case _Step.DATA:
                return self._read_data(pieces)
            case _Step.DATA_END:
                return self._read_data_end()
            case _Step.TRAILERS:
                return self._read_trailers()
            case _Step.DONE:
                return False

    def _read_size(self) -> bool:
        line = _SIZE_LINE.match(self._data, self._at)
        if line is None:
            if len(self._data) - self._at > _SIZE_LINE_BOUND or self._data.find(b"\n", self._at) >= 0:
                raise invalid("a chunk size is malformed")
            return False
        self._at = line.end()
        self._left = int(line.group(1), 16)
        self._step = _Step.DATA if self._left else _Step.TRAILERS
        return True

    def _read_data(self, pieces: list[bytes]) -> bool:
        piece = self._data[self._at : self._at + self._left]
        if not piece:
            return False
        pieces.append(piece)
        self._at += len(piece)
        self._left -= len(piece)
        if self._left == 0:
            self._step = _Step.DATA_END
        return True

    def _read_data_end(self) -> bool:
        end = self._data[self._at : self._at + 2]
        if not b"\r\n".startswith(end):
            raise invalid("a chunk is longer than its size")
        if len(end) < 2:
            return False
        self._at += 2
        self._step = _Step.SIZE
        return True

    def _read_trailers(self) -> bool:
        if self._data.startswith(b"\r\n", self._at):
            self._at += 2
            self._step = _Step.DONE
            return False
        end = self._data.find(b"\r\n\r\n", self._at)
        if (end if end >= 0 else len(self._data)) - self._at > self._trailers_bound:
            raise BrokenResponseError(OriginFailure.HEADER_TOO_BIG, "the trailer section is too big")
        if end < 0:
            return False
        self.trailers = Headers(read_fields(self._data[self._at : end + 2].decode("latin-1")))
        self._at = end + 4
        self._step = _Step.DONE
        return False
