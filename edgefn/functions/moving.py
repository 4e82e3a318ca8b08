"""Moving all that is published between replicas: from one machine to a fleet, from a backup to new streams.

Files come before what refers to them, and the head comes last: whoever follows the new replica sees all or nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing

from edgefn.functions.mirror.place import SUBJECT
from edgefn.functions.replicas.base import HEAD, Record, Replica, ReplicaError, Stored

_RECORDS_AT_ONCE = 200
_BYTES_AT_ONCE = 4 * 1024 * 1024
_ROUNDS = 10


async def move(source: Replica, target: Replica, report: Callable[[str], None]) -> int:
    """Write everything of `source` into `target`; return how many records there are.

    It may be repeated after it broke off. Purges are not moved: a location flushes its cache when it first follows
    another log. Raises `ReplicaError` when `target` holds something else, or when `source` does not stand still.
    """
    for _ in range(_ROUNDS):
        records = [stored for stored in await source.read() if stored.subject != SUBJECT]
        await _check(records, target)
        await _move_blobs(source, target, report)
        await _move_records(records, target, report)
        if [stored.value for stored in records if stored.subject == HEAD] == await _heads(source):
            return len(records)
    raise ReplicaError("what is published changes all the time: stop publishing to the old replica, then move it again")


async def _heads(replica: Replica) -> list[bytes]:
    head = await replica.get(HEAD)
    return [] if head is None else [head.value]


async def _check(records: Sequence[Stored], target: Replica) -> None:
    """Refuse a target that has records which `source` has not: that is somebody else's."""
    ours = {stored.subject for stored in records}
    theirs = [stored.subject for stored in await target.read() if stored.value and stored.subject not in ours]
    if theirs:
        raise ReplicaError(
            f"there is something else published already (for example {theirs[0]}), which would be lost: "
            "name a server without it, or delete it there first"
        )


async def _move_blobs(source: Replica, target: Replica, report: Callable[[str], None]) -> None:
    there = set(await target.blobs())
    missing = sorted(set(await source.blobs()) - there)
    for number, digest in enumerate(missing, start=1):
        async with aclosing(source.get_blob(digest)) as pieces:
            await target.put_blob(digest, pieces)
        report(f"file {number} of {len(missing)}: {digest[:12]}")


async def _move_records(records: Sequence[Stored], target: Replica, report: Callable[[str], None]) -> None:
    there = {stored.subject: stored for stored in await target.read()}
    changed = [
        stored
        for stored in records
        if stored.subject not in there or there[stored.subject].value != stored.value or stored.subject == HEAD
    ]
    if [stored.subject for stored in changed] == [HEAD] and there.get(HEAD, Stored(0, HEAD, b"")).value == changed[
        0
    ].value:
        return
    changed.sort(key=lambda stored: (stored.subject == HEAD, stored.sequence))
    done = 0
    for batch in _batches(changed):
        expected = {each.subject: there[each.subject].sequence if each.subject in there else 0 for each in batch}
        await target.append(batch, expected)
        done += len(batch)
        report(f"record {done} of {len(changed)}")


def _batches(records: Sequence[Stored]) -> Iterator[list[Record]]:
    """Yield what fits into one commit each time."""
    batch: list[Record] = []
    size = 0
    for stored in records:
        if batch and (len(batch) == _RECORDS_AT_ONCE or size + len(stored.value) > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(Record(stored.subject, stored.value))
        size += len(stored.value)
    if batch:
        yield batch
