"""A process that mirrors or publishes, and kills itself at a given moment; told what to do on standard input.

Prints a line when it has started. `die_at` is "before" or "after" and what; `largest_file` bounds what it may write.
"""

import asyncio
import json
import os
import random
import resource
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.committing import Senses
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import HEAD, Record, Replica
from edgefn.functions.replicas.nats.link import Address, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.signing import Keys, SignaturePolicy, SigningKey, key_id
from edgefn.model.publishing import LocationStatus, Manifest
from edgefn.model.settings import FunctionSettings


class Mortal:
    """A replica that kills its process at one moment. Everything else is the real one's."""

    def __init__(self, replica: Replica, die_at: str) -> None:
        self._replica = replica
        self._die_at = die_at

    def __getattr__(self, name: str) -> object:
        return getattr(self._replica, name)

    def _reach(self, moment: str) -> None:
        if moment == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        is_commit = any(record.subject == HEAD for record in records)
        self._reach("before commit" if is_commit else "before note")
        sequence = await self._replica.append(records, expected)
        self._reach("after commit" if is_commit else "after note")
        return sequence

    async def put_blob(self, digest: str, content: AsyncIterable[bytes]) -> None:
        async def dying() -> AsyncIterator[bytes]:
            async for piece in content:
                yield piece[: len(piece) // 2]
                self._reach("amidst blob")
                yield piece[len(piece) // 2 :]

        await self._replica.put_blob(digest, dying())
        self._reach("after blob")

    async def order_purge(self, order: bytes, op: str) -> int:
        return await self._purge(self._replica.order_purge, order, op)

    async def note_purge(self, order: bytes, op: str) -> int:
        return await self._purge(self._replica.note_purge, order, op)  # type: ignore[attr-defined]  # a location's own

    async def _purge(self, write: Callable[[bytes, str], Awaitable[int]], order: bytes, op: str) -> int:
        self._reach("before purge")
        sequence = await write(order, op)
        self._reach("after purge")
        return sequence


def fresh_id() -> str:
    return uuid.uuid4().hex


async def starts(_manifest: Manifest, _bundle: Bundle) -> str | None:
    return None


async def mirror(upstream: NatsReplica, told: dict[str, str], signing: SigningKey) -> None:
    keys = Keys(trusted={key_id(signing.public): signing.public}, policy=SignaturePolicy.ENFORCE)

    def total(_workers: Sequence[LocationStatus]) -> LocationStatus:
        return LocationStatus(told["name"], 0, time.time())

    station = Station(told["name"], total, time.time, fresh_id, random.random, lambda line: print(line, flush=True))
    async with opened(Path(told["directory"]), time.time, fresh_id) as local:
        await Mirror(upstream, Mortal(local, told["die_at"]), keys, station).run()


async def publish(upstream: NatsReplica, told: dict[str, str], signing: SigningKey) -> None:
    control = Publisher(Mortal(upstream, told["die_at"]), Keys(signing=signing), starts, Senses(time.time, fresh_id))
    bundle = Bundle.of([BundleFile("index.js", told["content"].encode())])
    await control.deploy(FunctionSettings("hello", "", "nodejs20.x"), bundle, alias="live")
    await control.order_purge(b'["everything"]')


async def main() -> None:
    told = json.loads(sys.stdin.read())
    if told.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (told["largest_file"], told["largest_file"]))
    key = KeyPair.from_seed(told["seed"])
    address = Address((told["server"],), lambda: Login(told["token"], key), inbox=told["inbox"])
    upstream = NatsReplica(address, random.random, fresh_id)
    signing = SigningKey(bytes.fromhex(told["signing"]))
    print("started", flush=True)
    await (mirror if told["role"] == "mirror" else publish)(upstream, told, signing)


asyncio.run(main())
