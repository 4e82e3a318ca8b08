"""Calls between a control plane and the locations that listen now. Nothing is kept, and nothing is sent twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edgefn.functions.replicas.nats import layout
from edgefn.functions.replicas.nats.hearing import Ear
from edgefn.functions.replicas.nats.link import Link


class Calls:
    """The calls on one connection. What raises raises `ReplicaError`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def ask(self, question: bytes) -> None:
        """Ask all locations."""
        await self._link.send(layout.ASKED, question)

    @asynccontextmanager
    async def questions(self) -> AsyncIterator["Heard"]:
        """Give what is asked, as a location hears it, while the block lasts."""
        async with self._link.listening(layout.ASKED) as ear:
            yield Heard(ear)

    async def tell(self, location: str, answer: bytes) -> None:
        """Tell the control plane something, under one's own name."""
        await self._link.send(f"{layout.TOLD}.{layout.location_part(location)}", answer)

    @asynccontextmanager
    async def answers(self) -> AsyncIterator["Heard"]:
        """Give what locations tell, while the block lasts."""
        async with self._link.listening(f"{layout.TOLD}.*") as ear:
            yield Heard(ear)


class Heard:
    """What is heard, as it comes."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    async def next(self, seconds: float) -> tuple[str, bytes] | None:
        """Return who says what ("" for the control plane); None when nothing was heard, or something was missed."""
        message = await self._ear.next(seconds)
        if message is None:
            return None
        who = message.subject.removeprefix(f"{layout.TOLD}.")
        return layout.location_in(who) if who != message.subject else "", message.data
