"""The line between a supervisor and a worker: answers belong to commands, however late they come."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import uvloop

from edgefn.node.worker import ADOPT, PREPARE, PrepareCommand
from edgefn.node.workers import WorkerGoneError, WorkerProcess, WorkerSilentError, start_worker


class Stage:
    """A supervisor's end of the line, and somebody who plays the worker at the other one."""

    def __init__(self, worker: WorkerProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.worker = worker
        self._reader = reader
        self.writer = writer

    async def asked(self) -> PrepareCommand:
        line = await self._reader.readline()
        assert line.startswith(PREPARE)
        return PrepareCommand(*orjson.loads(line.removeprefix(PREPARE)))

    async def line(self) -> bytes:
        return await self._reader.readline()

    def says(self, **told: object) -> None:
        self.writer.write(orjson.dumps(told) + b"\n")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    ours, theirs = socket.socketpair()
    worker = WorkerProcess(process, *await asyncio.open_unix_connection(sock=ours))
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    yield Stage(worker, reader, writer)
    writer.close()
    await worker.stop(10)


async def test_what_is_prepared_is_adopted(stage: Stage) -> None:
    preparing = asyncio.create_task(stage.worker.prepare(7, 12))
    asked = await stage.asked()
    assert (asked.number, asked.generation) == (7, 12)
    stage.says(about=asked.id, prepared=True)
    assert await preparing == ()
    adopting = asyncio.create_task(stage.worker.adopt())
    assert await stage.line() == ADOPT
    stage.says(about=asked.id, reloaded="done")
    assert await adopting == "done"


async def test_an_answer_that_comes_too_late_is_none_to_the_next_command(stage: Stage) -> None:
    with pytest.raises(WorkerSilentError, match=r"does not answer within 0\.05 s"):
        await stage.worker.prepare(7, 12, patience=0.05)
    late = await stage.asked()
    stage.says(about=late.id, prepared=True)
    preparing = asyncio.create_task(stage.worker.prepare(8, 13))
    asked = await stage.asked()
    stage.says(about=asked.id, problems=["no"])
    assert await preparing == ("no",)


async def test_a_worker_that_ends_says_so_to_all_who_ask(stage: Stage) -> None:
    preparing = asyncio.create_task(stage.worker.prepare())
    await stage.asked()
    stage.writer.close()
    for waiting in (preparing, stage.worker.prepare()):
        with pytest.raises(WorkerGoneError, match="ended"):
            await waiting


def copies_of_output(pid: int) -> list[str]:
    """Return the descriptors above 2 of a process that are the same files as its standard output and error."""
    place = Path(f"/proc/{pid}/fd")
    output = {os.readlink(place / number) for number in ("1", "2")}
    return [entry.name for entry in place.iterdir() if int(entry.name) > 2 and target(entry) in output]


def target(entry: Path) -> str:
    """Return what a descriptor is open on, "" where the process has closed it meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(entry)
    return ""


def test_a_worker_has_its_standard_streams_once(tmp_path: Path) -> None:
    async def start() -> list[str]:
        worker = await start_worker(str(tmp_path / "nothing.yaml"), 0)
        try:
            worker.process.send_signal(signal.SIGSTOP)
            return copies_of_output(worker.process.pid)
        finally:
            worker.process.kill()
            await worker.process.wait()
            await worker.forget()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        assert loop.run(start()) == []
