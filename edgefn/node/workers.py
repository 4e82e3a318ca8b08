"""One worker process, seen from its supervisor: how it is started, told, and stopped."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from functools import partial
from typing import Final

import orjson

from edgefn.node.worker import ADOPT, PREPARE, PURGE, PrepareCommand, PurgeCommand
from edgefn.rules.purges import Purge, written
from edgefn.sandbox.process.spawn import keep_from_children
from edgefn.stores.base import Purged, StoreError
from edgefn.stores.stock import Hit

_RELOAD_PATIENCE: Final = 60.0  # seconds
_PURGE_PATIENCE: Final = 600.0
_MAX_LINE: Final = 1 << 20  # bytes

Told = dict[str, object]


class WorkerGoneError(Exception):
    """A worker ended, or did not answer in time."""


class WorkerSilentError(WorkerGoneError):
    """A worker did not answer in time. It may do so later, and is then not listened to."""


class WorkerProcess:
    """One worker. Its answers about purges may come between all others."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.process = process
        self._reader = reader
        self._writer = writer
        self._answers: asyncio.Queue[Told | None] = asyncio.Queue()
        self._purging: dict[int, asyncio.Future[Told]] = {}
        self._ids = itertools.count(1)
        self._preparing = 0
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._hear(orjson.loads(line))
        except (OSError, ValueError):
            pass  # as good as gone
        finally:
            self._answers.put_nowait(None)
            for waiting in self._purging.values():
                if not waiting.done():
                    waiting.set_exception(WorkerGoneError(f"worker {self.process.pid} ended"))

    def _hear(self, told: object) -> None:
        if not isinstance(told, dict):
            return
        if "purged" not in told:
            self._answers.put_nowait(told)
            return
        waiting = self._purging.get(told["purged"])
        if waiting is not None and not waiting.done():
            waiting.set_result(told)

    async def answer(self, patience: float, about: int = 0) -> Told:
        """Return what the worker says next about the command with that number; 0: of itself, when it starts.

        Raises `WorkerGoneError`.
        """
        try:
            async with asyncio.timeout(patience):
                while (told := await self._answers.get()) is not None:
                    if told.get("about", 0) == about:
                        return told
        except TimeoutError as error:
            raise WorkerSilentError(f"worker {self.process.pid} does not answer within {patience:g} s") from error
        self._answers.put_nowait(None)  # for whoever asks next
        raise WorkerGoneError(f"worker {self.process.pid} ended")

    async def prepare(
        self, number: int = 0, generation: int = 0, *, patience: float = _RELOAD_PATIENCE
    ) -> tuple[str, ...]:
        """Have the worker make a configuration ready; return what is wrong with it. Raises `WorkerGoneError`.

        `number` and `generation` as in `PrepareCommand`.
        """
        self._preparing = next(self._ids)
        self.tell(PREPARE + orjson.dumps(list(PrepareCommand(self._preparing, number, generation))) + b"\n")
        match await self.answer(patience, self._preparing):
            case {"prepared": True}:
                return ()
            case {"problems": [*problems]}:
                return tuple(str(problem) for problem in problems)
            case other:
                return (f"it said {other}",)

    async def adopt(self) -> str:
        """Have the worker swap to what it prepared; return a line about it. Raises `WorkerGoneError`."""
        self.tell(ADOPT)
        return str((await self.answer(_RELOAD_PATIENCE, self._preparing)).get("reloaded"))

    async def purge(self, purge: Purge, *, soft: bool, epoch: int | None) -> Hit:
        """Have the worker purge; return what it hit. `epoch` as in `PurgeCommand`.

        Raises `WorkerGoneError`, and `StoreError` when it could not.
        """
        if self._listening.done():
            raise WorkerGoneError(f"worker {self.process.pid} ended")
        number = next(self._ids)
        waiting: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._purging[number] = waiting
        try:
            self.tell(PURGE + orjson.dumps(list(PurgeCommand(number, written(purge), soft, epoch))) + b"\n")
            told = await asyncio.wait_for(waiting, _PURGE_PATIENCE)
        except TimeoutError as error:
            raise WorkerGoneError(f"worker {self.process.pid} does not answer") from error
        finally:
            del self._purging[number]
        match told:
            case {"hit": [int(at), int(entries), int(size), int(on_disk), int(disk_size)]}:
                return Hit(at, Purged(entries, size), Purged(on_disk, disk_size))
            case _:
                raise StoreError(str(told.get("failed")))

    def tell(self, command: bytes) -> None:
        """Send a command. One that is gone doesn't hear it."""
        if not self._writer.is_closing():  # uvloop raises then
            self._writer.write(command)

    async def stop(self, patience: float) -> None:
        """Let its requests end, for `patience` seconds; then kill it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), patience)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        await self.forget()

    async def forget(self) -> None:
        """Let go of what belonged to a worker that has ended."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()


async def start_worker(config: str, number: int) -> WorkerProcess:
    """Start worker `number` for the configuration file `config`."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "edgefn.cli.main", "serve", config, "--worker", str(number), str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on the terminal is the supervisor's
            preexec_fn=partial(_keep_but, theirs.fileno()),
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_MAX_LINE)
    return WorkerProcess(process, reader, writer)


def _keep_but(descriptor: int) -> None:
    """Let the process to come have only this one besides the standard streams, of which uvloop leaves copies open."""
    keep_from_children()
    os.set_inheritable(descriptor, True)
