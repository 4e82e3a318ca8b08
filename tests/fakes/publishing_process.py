"""A publisher in a process of its own, which is killed (SIGKILL) at one step of a deployment, or goes on for ever.

    python -m tests.fakes.publishing_process DIRECTORY STEP|for-ever

Before each step it does what comes before it, for good. With `for-ever` it says on stdout what was acknowledged.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from uuid import uuid4

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.committing import Senses
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Record
from edgefn.functions.replicas.sqlite import database, files
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Manifest
from edgefn.model.settings import FunctionSettings

SETTINGS = FunctionSettings("hello", "", "nodejs20.x")


def bundle(name: str) -> Bundle:
    """Return a bundle that takes several pieces, and is known from its name."""
    noise = random.Random(name).randbytes(1_600_000)
    return Bundle.of([BundleFile("index.js", name.encode()), BundleFile("data.bin", noise)])


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Dying:
    """A replica whose process is killed at a step."""

    def __init__(self, replica: SqliteReplica, step: str) -> None:
        self._replica = replica
        self._step = step

    def __getattr__(self, name: str) -> object:
        return getattr(self._replica, name)

    async def put_blob(self, digest: str, content: AsyncIterable[bytes]) -> None:
        if self._step == "before the upload":
            die()
        await self._replica.put_blob(digest, self._torn(content) if self._step == "amid the upload" else content)
        if self._step == "after the upload":
            die()

    async def _torn(self, content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for piece in content:
            yield piece
            die()

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        if self._step == "before the commit":
            die()
        last = await self._replica.append(records, expected)
        if self._step == "after the commit":
            die()
        return last


INSIDE: dict[str, tuple[object, str]] = {
    "before the blob gets its name": (files.UnfinishedBlob, "finish"),
    "before the blob's directory is synced": (files, "_sync"),
    "amid the transaction": (database, "_commit"),
}
STEPS = (
    "before the upload",
    "amid the upload",
    "before the blob gets its name",
    "before the blob's directory is synced",
    "after the upload",
    "before the commit",
    "amid the transaction",
    "after the commit",
)


async def no_trial(manifest: Manifest, bundle: Bundle) -> str | None:
    del manifest, bundle
    return None


async def main(directory: str, step: str) -> None:
    async with opened(Path(directory), time.time, lambda: "a log") as replica:
        if step in INSIDE:
            where, name = INSIDE[step]
            setattr(where, name, die)
        publisher = Publisher(Dying(replica, step), Keys(), no_trial, Senses(time.time, lambda: str(uuid4())))  # type: ignore[arg-type]
        if step != "for-ever":
            await publisher.deploy(SETTINGS, bundle("new"), alias="live")
            return
        for number in count():
            code = Bundle.of([BundleFile("index.js", f"{os.getpid()} {number}".encode())])
            deployed = await publisher.deploy(SETTINGS, code, alias="live")
            print(deployed.manifest.version, code.digest, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
