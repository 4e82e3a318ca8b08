"""Relay a sandbox's connections to the hosts that its function may reach, and answer its DNS. Bounded throughout.

The proxy resolves every name itself, at every connection, and judges each address before it connects to it: what a
name led to a moment ago proves nothing. Bytes pass as they are, so TLS is between the function and the far end.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edgefn.sandbox.process.allowance import Allowance, names, refusal
from edgefn.sandbox.process.launch import LaunchError
from edgefn.sandbox.process.names import answer
from edgefn.sandbox.process.process import Child
from edgefn.sandbox.process.spawn import spawn

_log = logging.getLogger(__name__)

NAME_SERVER = "127.0.0.53"
_DNS_PORT = 53
_LONGEST_QUERY = 512
_PIECE = 64 * 1024
_LONGEST_WORD = 4096
_HELPER = os.path.join(os.path.dirname(__file__), "listen_inside.py")
_ACCEPT_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sandbox's traffic may come to. Times in seconds; `bytes` in each direction of one connection."""

    connections: int = 64
    bytes: int = 1024**3
    connect_timeout: float = 5.0
    idle_timeout: float = 60.0
    helper_timeout: float = 10.0


async def open_inside(reaper: int, wanted: list[str], patience: float) -> list[socket.socket]:
    """Open listeners in the network of the sandbox whose pid 1 is `reaper`; "tcp:ADDRESS:PORT" each.

    Raises LaunchError.
    """
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        network = os.open(f"/proc/{reaper}/ns/net", os.O_RDONLY)
        try:
            argv = [sys.executable, "-I", "-S", _HELPER, *wanted]
            child = Child(spawn(argv, {1: 2, 3: theirs.fileno(), 4: network}))
        finally:
            os.close(network)
            theirs.close()
        try:
            async with asyncio.timeout(patience):
                await _readable(ours)
                word, descriptors, _, _ = socket.recv_fds(ours, _LONGEST_WORD, len(wanted))
        finally:
            child.kill()
            await child.exited()
    except (OSError, TimeoutError) as error:
        raise LaunchError(f"No listener could be opened inside a sandbox: {error!r}.") from error
    finally:
        ours.close()
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    if word != b"k" or len(listeners) != len(wanted):
        for listener in listeners:
            listener.close()
        raise LaunchError(f"No listener could be opened inside a sandbox: {word[1:].decode('utf-8', 'replace')}.")
    for listener in listeners:
        listener.setblocking(False)
    return listeners


async def _readable(waited: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(waited, set_ready)
    try:
        await ready
    finally:
        loop.remove_reader(waited)


class Egress:
    """The traffic of one sandbox. `open` it once, and `close` it when the sandbox is gone."""

    def __init__(self, allowed: tuple[Allowance, ...], bounds: Bounds | None = None) -> None:
        self._allowed = allowed
        self._bounds = bounds or Bounds()
        self._connections = 0
        self._listeners: list[socket.socket] = []
        self._name_server: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self, reaper: int) -> None:
        """Open the way out of a sandbox. Raises LaunchError."""
        wanted = [f"tcp:{each.inside}:{each.port}" for each in self._allowed]
        wanted.append(f"udp:{NAME_SERVER}:{_DNS_PORT}")
        *self._listeners, self._name_server = await open_inside(reaper, wanted, self._bounds.helper_timeout)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._name_server, self._answer, self._name_server, names(self._allowed))
        self._serving = loop.create_task(self._serve())

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._name_server is not None:
            asyncio.get_running_loop().remove_reader(self._name_server)
            self._name_server.close()
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
        for listener in self._listeners:
            listener.close()

    def _answer(self, name_server: socket.socket, addresses: dict[str, str]) -> None:
        """Answer one query. What cannot be sent is lost, as datagrams may be."""
        with suppress(OSError):
            query, sender = name_server.recvfrom(_LONGEST_QUERY)
            reply = answer(query, addresses)
            if reply is not None:
                name_server.sendto(reply, sender)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            for allowed, listener in zip(self._allowed, self._listeners, strict=True):
                group.create_task(self._accept(allowed, listener, group))

    async def _accept(self, allowed: Allowance, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                near, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(_ACCEPT_PAUSE)
                continue
            if self._connections >= self._bounds.connections:
                near.close()
                continue
            self._connections += 1
            group.create_task(self._relay(allowed, near))

    async def _relay(self, allowed: Allowance, near: socket.socket) -> None:
        far: socket.socket | None = None
        try:
            async with asyncio.timeout(self._bounds.connect_timeout):
                far = await self._connect(allowed)
            if far is not None:
                await self._exchange(near, far)
        except* OSError as errors:
            _log.info("a function's connection to %s:%d ended: %r", allowed.host, allowed.port, errors.exceptions)
        finally:
            self._connections -= 1
            near.close()
            if far is not None:
                far.close()

    async def _connect(self, allowed: Allowance) -> socket.socket | None:
        """Connect to the first address that may be connected to; None when none may."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(allowed.host, allowed.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            reason = refusal(allowed, str(address[0]))
            if reason is not None:
                _log.warning("a function's connection was refused: %s", reason)
                continue
            far = socket.socket(family, kind, protocol)
            far.setblocking(False)
            try:
                await loop.sock_connect(far, address)
            except OSError:
                far.close()
                continue
            except BaseException:
                far.close()
                raise
            return far
        return None

    async def _exchange(self, near: socket.socket, far: socket.socket) -> None:
        """Relay both ways until both have ended, or one has failed, or nothing has moved for too long."""
        moved = asyncio.Event()
        async with asyncio.TaskGroup() as ways:
            idle = ways.create_task(self._watch_idle(moved))
            there = ways.create_task(self._pump(near, far, moved.set))
            back = ways.create_task(self._pump(far, near, moved.set))
            await there
            await back
            idle.cancel()

    async def _watch_idle(self, moved: asyncio.Event) -> None:
        while True:
            moved.clear()
            async with asyncio.timeout(self._bounds.idle_timeout):
                await moved.wait()

    async def _pump(self, source: socket.socket, sink: socket.socket, moved: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        budget = self._bounds.bytes
        while piece := await loop.sock_recv(source, min(_PIECE, budget)):
            await loop.sock_sendall(sink, piece)
            moved()
            budget -= len(piece)
            if budget <= 0:
                raise OSError(f"it passed {self._bounds.bytes} bytes")
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
