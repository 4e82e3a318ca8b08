"""Bells: whoever commits rings one, in whatever process, and whoever follows hears it at once.

A bell is an empty file. To ring it is to open it, to hear it is inotify: the kernel carries it between processes,
nothing is written, nobody has to know who listens, and nothing stays behind when somebody is killed. Whoever can't
hear (another system than Linux, no more watches) looks often instead; whoever can still looks now and then.
"""

import asyncio
import ctypes
import os
import struct
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

LOOK = 1.0
"""Seconds between two looks of somebody who hears: also after what no bell was rung for."""

LOOK_OFTEN = 0.025
"""Seconds between two looks of somebody who does not hear."""

_OPENED, _IGNORED = 0x20, 0x8000
_EVENT = struct.Struct("iIII")
_READ = 4_096


class Bell(StrEnum):
    """What has changed."""

    RECORDS = "records"
    PURGES = "purges"
    STATUSES = "statuses"


class Bells:
    """The bells of one replica's directory. `hearken` before anything is waited for; `close` ends it."""

    def __init__(self, directory: Path) -> None:
        self._files = {bell: directory / f"{bell}.bell" for bell in Bell}
        self._rung = dict.fromkeys(Bell, 0)
        self._waiting: set[asyncio.Future[None]] = set()
        self._watches: dict[int, Bell] = {}
        self._descriptor = -1
        self._is_asked = False
        self.hears = False
        """Whether a bell has ever been heard: that something can be watched does not mean that it is told."""

    def prepare(self) -> None:
        """Make what is not there yet. What can't be made is done without."""
        for file in self._files.values():
            with suppress(OSError):
                os.close(os.open(file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def ring(self, bell: Bell) -> None:
        """Tell all who listen, in every process. It may be called on any thread."""
        with suppress(OSError):
            os.close(os.open(self._files[bell], os.O_RDONLY | os.O_CLOEXEC))

    def rung(self, bell: Bell) -> int:
        """Return how often it was heard."""
        return self._rung[bell]

    async def wait(self, bell: Bell, heard: int) -> bool:
        """Return as soon as it was rung more than `heard` times: True. Or when it is time to look: False."""
        self._hearken()
        loop = asyncio.get_running_loop()
        until = loop.time() + (LOOK if self.hears else LOOK_OFTEN)
        while self._rung[bell] == heard:
            left = until - loop.time()
            if left <= 0:
                return False
            waiting: asyncio.Future[None] = loop.create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait((waiting,), timeout=left)
            finally:
                self._waiting.discard(waiting)
        return True

    def _hearken(self) -> None:
        """Begin to listen, once; and ring, to find out whether that is heard."""
        if self._is_asked:
            return
        self._is_asked = True
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "inotify_init1"):
            return
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._hear)
        for bell, file in self._files.items():
            watch = libc.inotify_add_watch(self._descriptor, os.fsencode(file), ctypes.c_uint(_OPENED))
            if watch >= 0:
                self._watches[watch] = bell
            self.ring(bell)

    def _hear(self) -> None:
        try:
            told = os.read(self._descriptor, _READ)
        except OSError:
            return
        at = 0
        while at + _EVENT.size <= len(told):
            watch, kind, _, length = _EVENT.unpack_from(told, at)
            at += _EVENT.size + length
            self.hears = not kind & _IGNORED  # a bell that is removed is not heard any more
            for bell in (self._watches[watch],) if watch in self._watches else Bell:  # else: some were dropped
                self._rung[bell] += 1
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def close(self) -> None:
        """Listen no more, and let nobody wait."""
        self._is_asked = True
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self.hears = False
        for bell in Bell:
            self._rung[bell] += 1
        self._wake()
