"""What a viewer connection asks of the floor above it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from edgefn.model.errors import BadRequestError
from edgefn.model.message import Interim, Request, Response, Viewer
from edgefn.model.trail import Trail


class Ready(NamedTuple):
    """An answer as it goes on the wire of a connection that lives on; `shown` is the same, for whoever logs it."""

    head: bytes
    body: bytes
    shown: Response

    def close(self) -> None:
        """Do nothing: there is nothing to give up."""


Deliver = Callable[[Response | Ready | None], None]
"""Takes an answer when it is here; None: the request is to be answered by `answer` after all."""


class Pending(Protocol):
    """An answer that is under way, and will be delivered once."""

    def abandon(self) -> None:
        """Want it no more; something is delivered at once. Harmless after it was delivered."""

    interim: Interim
    """Sends a 1xx response to the viewer. To be set where the request was known without one."""

    @property
    def request(self) -> Request:
        """Return the request."""

    def sent(self, head: bytes) -> None:
        """Take note of the head with which it was sent."""


class Application(Protocol):
    """Answers requests. Only `answer` may wait."""

    def open(self) -> tuple[str, Trail]:
        """Return the id and the trail of a request that has just come in."""

    def answer_now(self, request: Request, deliver: Deliver) -> Response | Request | Pending | None:
        """Return a complete buffered answer that needs no waiting, or what will `deliver` it later.

        Otherwise it is for `answer`: None, or a request, which is how far it came, and goes there too.
        """

    def answer_again(self, block: bytes, viewer: Viewer, deliver: Deliver) -> tuple[bytes, bytes] | Pending | None:
        """Return head and body for a request that was remembered and comes again, from anybody.

        `sent` is not told of it. Otherwise return what will `deliver` it, or None: there is none that still counts.
        """

    def remember(self, block: bytes, request: Request, head: bytes, response: Response) -> None:
        """Take note that `answer_now` had this response to `request`, and of its `head` as it was sent.

        `block` is the request as it came in, less its body. Neither asks for the connection to be closed.
        """

    async def answer(self, request: Request, asked: Request | None = None) -> Response:
        """Return the answer; `asked` is what `answer_now` came to, if anything.

        Raises nothing but `CancelledError`, which it gets when the viewer is gone.
        """

    def refuse(self, error: BadRequestError, request_id: str, trail: Trail) -> Response:
        """Return the page for a message that is no request; its body is buffered. The connection closes after it."""

    def sent(  # the whole story of one answer, told once
        self,
        request: Request | None,
        request_id: str,
        trail: Trail,
        response: Response,
        size: int,
        complete: bool,  # noqa: FBT001
    ) -> None:
        """Take note that an answer is over: `size` bytes, head included, were handed to the transport.

        `complete` tells whether that was all of it. `response` has status 0 when the viewer left before there was
        one; `request` is None for a message that was refused.
        """
