"""JetStream's API as far as it is needed: streams, single and batched reads, writes, and atomic batches of them."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from edgefn.functions.replicas.base import ConflictError, ReplicaError, UnavailableError, UnknownOutcomeError
from edgefn.functions.replicas.nats.hearing import Message
from edgefn.functions.replicas.nats.link import DisconnectedError, Link, NoLeaderError

API = "$JS.API"
PAGE_MESSAGES, PAGE_BYTES = 1000, 1024 * 1024
BATCH_LIMIT = 1000
"""Records of one atomic batch."""
_LAST = "Nats-Expected-Last-Subject-Sequence"
_WRONG_LAST, _ALREADY_THERE, _OTHER_SETTINGS, _NOT_CHANGED = (10071, 10164), 10077, 10058, 10052
_FULL = (10023, 10028, 10047)
"""Out of disk or memory: nothing was written."""
_RETRY_SECONDS = 0.05
ELECTION_SECONDS, _ELECTION_LOOK_SECONDS = 12.0, 0.2
"""How long a write waits for a leader, and how often it looks."""
_CONFLICT_LOOKS, _CONFLICT_LOOK_SECONDS = 10, 0.1
_READ_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""How long each try of a read waits for the next message."""
BLOB_SECONDS = (5.0, 30.0)
"""The same for pieces of a blob, which may come over a slow line."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a stream. `at` is when the server took it, in seconds since the epoch; `batch` is "" for none."""

    sequence: int
    subject: str
    data: bytes
    at: float
    batch: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages of a stream, whether more follow, and how far the stream went (0: not told)."""

    entries: tuple[Entry, ...]
    more: bool = False
    up_to: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """One message of a batch; `checks` gives a subject and the sequence that its newest message must have."""

    subject: str
    data: bytes
    checks: tuple[str, int] | None = None


class ApiError(ReplicaError):
    """JetStream said no. `code` is its own number for why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class TroubleError(UnavailableError):
    """JetStream could not do it now. `code` is its own number for why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


async def create(link: Link, name: str, settings: Mapping[str, object], *, is_fleeting: bool = False) -> None:
    """Make a stream, or give the one that is there these settings. Raises `ReplicaError`.

    Some settings hold for a stream's life: one that `is_fleeting` is made anew for them, without what was in it.
    """
    body = json.dumps({"name": name, **settings}).encode()
    try:
        await _call(link, f"STREAM.CREATE.{name}", body)
    except ApiError as error:
        if error.code != _OTHER_SETTINGS:
            raise
        try:
            await _call(link, f"STREAM.UPDATE.{name}", body)
        except (ApiError, TroubleError) as fixed:
            if fixed.code != _NOT_CHANGED or not is_fleeting:
                raise
            await _call(link, f"STREAM.DELETE.{name}", b"")
            await _call(link, f"STREAM.CREATE.{name}", body)


async def clear(link: Link, stream: str, subject: str) -> None:
    """Take all messages of a subject out of a stream. Raises `ReplicaError`."""
    await _call(link, f"STREAM.PURGE.{stream}", json.dumps({"filter": subject}).encode())


async def read(link: Link, stream: str, subject: str, patience: Sequence[float] = _READ_SECONDS) -> Entry | None:
    """Return the newest message of a subject, or None. Raises `ReplicaError`."""
    wanted = f"{API}.DIRECT.GET.{stream}.{subject}"
    answer = await _patiently(lambda seconds: link.ask(wanted, seconds=seconds), patience)
    if answer.status == "404":
        return None
    if answer.status is not None:
        raise ReplicaError(f"NATS answered {answer.status} to a read of {subject}")
    return entry(answer)


async def read_newest(link: Link, stream: str, subjects: Sequence[str]) -> Page:
    """Return the newest message of each subject that has one, as of one moment. Raises `ReplicaError`."""
    return await _page(link, stream, {"multi_last": list(subjects), "batch": PAGE_MESSAGES})


async def read_after(link: Link, stream: str, subject: str, after: int, most: int = PAGE_MESSAGES) -> Page:
    """Return messages of a subject (with wildcards) beyond a sequence, in order. Raises `ReplicaError`."""
    return await _page(
        link, stream, {"seq": after + 1, "next_by_subj": subject, "batch": most, "max_bytes": PAGE_BYTES}
    )


async def read_all_after(link: Link, stream: str, subject: str, after: int) -> AsyncGenerator[Entry, None]:
    """Yield all messages of a subject beyond a sequence, in order. Raises `ReplicaError`."""
    while True:
        page = await read_after(link, stream, subject, after)
        for found in page.entries:
            yield found
            after = found.sequence
        if not page.more or not page.entries:
            return


async def write(link: Link, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> int:
    """Append a message, and return its sequence when it is safe. Raises `ReplicaError`."""
    return _sequence(await _led(lambda: link.ask(subject, data, headers)))


async def write_once(link: Link, subject: str, data: bytes) -> None:
    """Write a message that never changes; it may be there already. Raises `ReplicaError`."""
    try:
        await _led(lambda: _patiently(lambda seconds: _write_within(link, subject, data, seconds), BLOB_SECONDS))
    except ApiError as error:
        if error.code != _ALREADY_THERE:
            raise


async def _write_within(link: Link, subject: str, data: bytes, seconds: float) -> int:
    return _sequence(await link.ask(subject, data, seconds=seconds))


async def write_batch(link: Link, stream: str, batch_id: str, writes: Sequence[Write]) -> int:
    """Append all messages or none; return the sequence of the last one. It waits for a leader where there is none.

    Raises `ConflictError` when a check fails, `UnknownOutcomeError` when only the commit got no answer.
    """
    names = (f"{batch_id}.{number}" for number in itertools.count(1))

    async def sent() -> int:
        name = next(names)  # Another one each time: of the one before a part may be there.
        try:
            return await _send_batch(link, name, writes)
        except ConflictError:
            return await _after_conflict(link, stream, name, writes)

    return await _led(sent)


async def _after_conflict(link: Link, stream: str, batch_id: str, writes: Sequence[Write]) -> int:
    """Return the sequence of a batch that was written although a conflict was answered.

    In a cluster a leader that had frozen, and does not know yet that it leads no more, judges by what it knows: it may
    refuse what its successor takes. Raises `ConflictError`, `UnknownOutcomeError`.
    """
    subjects = {item.subject for item in writes} | {item.checks[0] for item in writes if item.checks is not None}
    differs = False
    for _ in range(_CONFLICT_LOOKS):
        newest = {found.subject: found for found in (await read_newest(link, stream, sorted(subjects))).entries}
        for place, item in enumerate(writes):
            found = newest.get(item.subject)
            if found is not None and found.batch == batch_id:
                return found.sequence + len(writes) - 1 - place
        checks = [(_sequence_of(newest.get(item.checks[0])), item.checks[1]) for item in writes if item.checks]
        differs = any(found != expected for found, expected in checks)
        if any(found > expected for found, expected in checks):
            break
        await asyncio.sleep(_CONFLICT_LOOK_SECONDS)  # An older one may be that of a copy which lags behind.
    if differs:
        raise ConflictError("somebody else has written meanwhile")
    raise UnknownOutcomeError("NATS speaks of a conflict where there is none: its cluster is choosing a leader")


def _sequence_of(found: Entry | None) -> int:
    return 0 if found is None else found.sequence


async def _send_batch(link: Link, batch_id: str, writes: Sequence[Write]) -> int:
    for number, item in enumerate(writes, start=1):
        headers = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
        if item.checks is not None:
            subject, sequence = item.checks
            headers[_LAST] = str(sequence)
            if subject != item.subject:
                headers[f"{_LAST}-Subject"] = subject
        if number == len(writes):
            return _sequence(await link.ask(item.subject, item.data, {**headers, "Nats-Batch-Commit": "1"}))
        if number > 1:
            await link.send(item.subject, item.data, headers)
            continue
        try:
            answer = await link.ask(item.subject, item.data, headers)
        except UnknownOutcomeError as error:  # Without its end, the server drops a batch.
            raise NoLeaderError(str(error)) from error
        if answer.data:
            _sequence(answer)
    raise ReplicaError("there is nothing to write")


def entry(message: Message) -> Entry:
    """Return a message that came from a stream, by its feed or by a read. Raises `ReplicaError`."""
    headers = message.headers
    try:
        at = datetime.fromisoformat(headers["Nats-Time-Stamp"][:26].rstrip("Z") + "+00:00").timestamp()
        batch = headers.get("Nats-Batch-Id", "")
        return Entry(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, at, batch)
    except (KeyError, ValueError):
        raise ReplicaError(f"NATS sent a message on {message.subject} that is of no stream") from None


async def _page(link: Link, stream: str, request: Mapping[str, object]) -> Page:
    return await _patiently(lambda seconds: _ask_for_page(link, stream, request, seconds), _READ_SECONDS)


async def _ask_for_page(link: Link, stream: str, request: Mapping[str, object], seconds: float) -> Page:
    found: list[Entry] = []
    answers = link.ask_for_many(f"{API}.DIRECT.GET.{stream}", json.dumps(request).encode(), seconds=seconds)
    async with contextlib.aclosing(answers):
        async for answer in answers:
            if answer.status is None:
                found.append(entry(answer))
            elif answer.status == "404":
                return Page(tuple(found))
            elif answer.status == "204":
                pending = int(answer.headers.get("Nats-Num-Pending", "0"))
                return Page(tuple(found), pending > 0, int(answer.headers.get("Nats-UpTo-Sequence", "0")))
            else:
                raise UnavailableError(f"NATS answered {answer.status} to a read of {stream}")
    raise UnavailableError(f"NATS broke off a read of {stream}")


async def _patiently(ask: Callable[[float], Awaitable[_T]], patience: Sequence[float]) -> _T:
    """Ask what may be asked twice: a copy that hangs is asked as well as the others, and does not answer."""
    for seconds in patience[:-1]:
        try:
            return await ask(seconds)
        except DisconnectedError:
            raise
        except (UnknownOutcomeError, UnavailableError):
            pass
        await asyncio.sleep(_RETRY_SECONDS)
    try:
        return await ask(patience[-1])
    except UnknownOutcomeError as error:
        raise UnavailableError(str(error)) from error


async def _led(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask again for a while what nobody takes: a cluster that has lost its leader has another one within seconds."""
    clock = asyncio.get_running_loop().time
    until = clock() + ELECTION_SECONDS
    while True:
        try:
            return await ask()
        except NoLeaderError:
            if clock() > until:
                raise
        await asyncio.sleep(_ELECTION_LOOK_SECONDS)


async def _call(link: Link, name: str, body: bytes) -> Mapping[str, object]:
    return _document(await link.ask(f"{API}.{name}", body))


def _sequence(answer: Message) -> int:
    try:
        sequence = _document(answer).get("seq")
    except TroubleError as error:
        if error.code in _FULL:
            raise
        raise UnknownOutcomeError(str(error)) from error
    if not isinstance(sequence, int):
        raise UnknownOutcomeError("NATS acknowledged a message without a sequence")
    return sequence


def _document(answer: Message) -> Mapping[str, object]:
    """Return what the API answered. Raises what its error means."""
    try:
        document: object = json.loads(answer.data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnavailableError(f"NATS answered {answer.status or answer.data[:60]!r} where JSON was due")
    error = document.get("error")
    if isinstance(error, dict):
        raise _meant(error)
    return document


def _meant(error: Mapping[str, object]) -> ReplicaError:
    said, code = str(error.get("description", "an error without a description")), error.get("err_code")
    if code in _WRONG_LAST:
        return ConflictError("somebody else has written meanwhile")
    status = error.get("code")
    if isinstance(status, int) and status >= 500 and code != _ALREADY_THERE:
        return TroubleError(code if isinstance(code, int) else 0, f"NATS could not do it: {said}")
    return ApiError(code if isinstance(code, int) else 0, f"NATS refused it: {said}")
