"""What a viewer connection asks of the floor above it."""

from typing import Protocol

from edgefn.model.errors import BadRequestError
from edgefn.model.message import Request, Response
from edgefn.model.trail import Trail


class Application(Protocol):
    """Answers requests. Only `answer` may wait."""

    def open(self) -> tuple[str, Trail]:
        """Return the id and the trail of a request that has just come in."""

    def answer_now(self, request: Request) -> Response | None:
        """Return a complete buffered answer that needs no waiting, or None to be asked by `answer`."""

    async def answer(self, request: Request) -> Response:
        """Return the answer. Raises nothing but `CancelledError`, which it gets when the viewer is gone."""

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
