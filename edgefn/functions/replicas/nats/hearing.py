"""What is heard on the line to NATS: messages, the answers to a question, and a subject that is listened to."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgefn.functions.replicas.base import ReplicaError

_HEARD = 4096
_ANSWERS = 2048


@dataclass(frozen=True, slots=True)
class Message:
    """What came. `status` is the server's word where it is nobody's message ("204": no more, "404", "503")."""

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str | None:
        """Return the status, None for a message of somebody's."""
        return self.headers.get("Status")


class Question:
    """One request under way, and the answers to it."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.answers: asyncio.Queue[Message | ReplicaError] = asyncio.Queue(_ANSWERS)

    def answer(self, answer: Message | ReplicaError) -> None:
        """Take an answer in; too many of them are nothing that we asked for."""
        with contextlib.suppress(asyncio.QueueFull):
            self.answers.put_nowait(answer)


class Ear:
    """Messages of one subject, as they come, but for those of times without a connection, and any excess."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.is_refused = False
        """Whether the server does not let us hear it."""
        self._heard: asyncio.Queue[Message | None] = asyncio.Queue(_HEARD)

    async def next(self, seconds: float) -> Message | None:
        """Return the next message; None when there is none in time, or when messages may have been missed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._heard.get()
        return None

    def hear(self, message: Message | None) -> None:
        """Take a message in, or leave it when too many wait; None says that there may be a gap."""
        with contextlib.suppress(asyncio.QueueFull):
            self._heard.put_nowait(message)
