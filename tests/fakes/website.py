"""An origin that has a page for each path.

    async with Website({"/broken": page(500, b"oh")}) as site:
        ...  # connect to site.address
    assert site.asked("/broken")[0].header("Host") == "example.com"

A page is the bytes of an answer, or a coroutine function that gets the conversation and the request. Paths without a
page answer 200 with their own target as content.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Self

from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest

Page = bytes | Callable[[Conversation, SeenRequest], Awaitable[None]]


def page(status: int, content: bytes = b"", *lines: str) -> bytes:
    """Return an answer with the content, and with further header lines."""
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, f"Content-Length: {len(content)}"]
    return "\r\n".join((*head, "", "")).encode("latin-1") + content


class Website:
    def __init__(self, pages: Mapping[str, Page] | None = None) -> None:
        self._pages = pages or {}
        self._origin = ScriptedOrigin(self._serve)

    @property
    def address(self) -> str:
        """Return "host:port"."""
        return self._origin.address

    @property
    def port(self) -> int:
        return self._origin.port

    async def __aenter__(self) -> Self:
        await self._origin.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._origin.__aexit__(*failure)

    @property
    def requests(self) -> list[SeenRequest]:
        """Return all requests so far."""
        return self._origin.requests

    def asked(self, path: str) -> list[SeenRequest]:
        """Return the requests for the path so far, whatever their query."""
        return [seen for seen in self.requests if seen.target.partition("?")[0] == path]

    async def _serve(self, conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            answer = self._pages.get(seen.target.partition("?")[0], page(200, seen.target.encode("latin-1")))
            if isinstance(answer, bytes):
                head, end, content = answer.partition(b"\r\n\r\n")
                await conversation.send(head + end + (b"" if seen.method == "HEAD" else content))
            else:
                await answer(conversation, seen)
