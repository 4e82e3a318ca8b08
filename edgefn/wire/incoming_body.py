"""A viewer's request body: taken out of its framing and bounded, on its way into a `StreamBody`."""

from edgefn.model.errors import BadRequestError
from edgefn.wire.dechunking import Dechunker
from edgefn.wire.response_head import BrokenResponseError
from edgefn.wire.stream import StreamBody
from edgefn.wire.viewer_head import read_trailers

_DRAIN_SIZE = 65_536
"""Bytes of a body that nobody reads which are worth waiting for, to keep the connection."""
_OVERHEAD = 65_536  # bytes of chunk sizes and the like, beyond as many as there are of content
_TRAILERS_BOUND = 8_192


class IncomingBody:
    """Feeds one `StreamBody`. `length` None: in chunks. `body_size` bounds the content.

    `done` once the whole message has come in.
    """

    __slots__ = ("_body_size", "_dechunker", "_discarded", "_left", "_overhead", "_received", "done", "stream")

    def __init__(self, length: int | None, body_size: int, stream: StreamBody) -> None:
        self._body_size = body_size
        self._left = length or 0
        self._dechunker = Dechunker(_TRAILERS_BOUND) if length is None else None
        self._received = 0
        self._overhead = 0
        self.stream = stream
        self.done = False
        self._discarded = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the connection; return those behind the end of the message."""
        if self.stream.closed:
            self._discarded += len(data)
        try:
            return self._feed_known(data) if self._dechunker is None else self._feed_chunks(self._dechunker, data)
        except BrokenResponseError as error:
            self.stream.fail(BadRequestError(400, f"the request's body: {error.why}"))
        except BadRequestError as error:
            self.stream.fail(error)
        return b""

    @property
    def broken(self) -> bool:
        """Return whether the rest will never come, so that the connection is of no more use."""
        return self.stream.failed

    @property
    def behind(self) -> bool:
        """Return whether more of what it was fed is to be decoded, by feeding it again: at best in the next turn."""
        return self._dechunker is not None and self._dechunker.behind and not self.broken

    @property
    def hopeless(self) -> bool:
        """Return whether what is left of a body that nobody reads is not worth waiting for."""
        return self.broken or (self.stream.closed and self._discarded + self._left > _DRAIN_SIZE)

    def _feed_known(self, data: bytes) -> bytes:
        taken, rest = data[: self._left], data[self._left :]
        self._left -= len(taken)
        self.stream.feed(taken)
        if not self._left:
            self.done = True
            self.stream.finish()
        return rest

    def _feed_chunks(self, dechunker: Dechunker, data: bytes) -> bytes:
        content = dechunker.feed(data)
        self._received += len(content)
        self._overhead += dechunker.taken - len(content)
        if self._received > self._body_size:
            raise BadRequestError(413, f"the body is longer than {self._body_size} bytes")
        if self._overhead > _OVERHEAD + self._received:
            raise BadRequestError(400, "the body is mostly chunk sizes and extensions")
        self.stream.feed(content)
        if dechunker.done:
            self.stream.finish(read_trailers(dechunker.trailers))
            self.done = True
        return dechunker.rest


def too_slow() -> BadRequestError:
    """Return the error for a viewer that stopped in the middle of its body."""
    return BadRequestError(408, "the request's body came too slowly")
