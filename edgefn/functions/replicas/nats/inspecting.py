"""What servers that somebody else runs say of themselves, and what of that an operator should change."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.link import Link

_PATIENCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Inspected:
    """One server: whether it keeps streams, and whether what it acknowledged is on its disk."""

    name: str
    version: str
    has_jetstream: bool
    syncs_always: bool


async def inspected(link: Link) -> Sequence[Inspected]:
    """Return all servers that answer. `link` must be logged in with `Authority.system_login`. Raises `ReplicaError`."""
    found: dict[str, Inspected] = {}
    try:
        async with aclosing(link.ask_for_many("$SYS.REQ.SERVER.PING.JSZ", b"{}", seconds=_PATIENCE)) as answers:
            async for answer in answers:
                if (server := _read(answer.data)) is not None:
                    found[server.name] = server
    except ReplicaError:  # Nobody says which answer is the last one.
        if not found:
            raise
    return [found[name] for name in sorted(found)]


def advice(servers: Sequence[Inspected], named: int, copies: int) -> list[str]:
    """Return what an operator who named so many addresses, and wants so many copies, should know."""
    told = [
        f"{each.name} writes to its disk every two minutes or so: acknowledged changes may be lost with its power; "
        "say jetstream { sync_interval: always }"
        for each in servers
        if each.has_jetstream and not each.syncs_always
    ]
    told += [f"{each.name} has no JetStream, so it keeps nothing" for each in servers if not each.has_jetstream]
    if len(servers) < named:
        names = ", ".join(each.name for each in servers)
        told.append(f"{named} addresses are named, and {len(servers)} of the servers answer ({names})")
    if copies == 1 and len(servers) > 1:
        told.append("everything is kept on one of the servers only: say nats: {copies: 3}")
    return told


def _read(data: bytes) -> Inspected | None:
    try:
        document: object = json.loads(data)
    except ValueError:
        return None
    match document:
        case {"server": {"name": str(name), "ver": str(version), **server}, **rest}:
            syncs = False
            match rest.get("data"):
                case {"config": {"sync_always": bool(always)}}:
                    syncs = always
                case _:
                    pass
            return Inspected(name, version, bool(server.get("jetstream")), syncs)
        case _:
            return None
