"""A viewer connection after 101: bytes both ways until both sides have ended (RFC 9110 section 7.8)."""

import asyncio
from math import inf

from edgefn.model.errors import EdgeError, ViewerGoneError
from edgefn.model.message import Duplex
from edgefn.wire.outgoing import Outgoing
from edgefn.wire.stream import StreamBody, Tap

IDLE_TIMEOUT = 600.0
"""Seconds after which a tunnel without a byte either way is closed, as CloudFront does with WebSockets."""


def viewer_bytes(tap: Tap, begun: bytes, *, ended: bool) -> StreamBody:
    """Return the viewer's half of a tunnel, to be fed with what arrives; `begun` came before, and may be all."""
    half = StreamBody(None, tap, None, lambda: ViewerGoneError("never raised: a tunnel has its own bound"))
    half.feed(begun)
    if ended:
        half.finish()
    return half


async def pump(viewer: StreamBody, outgoing: Outgoing, far: Duplex) -> bool:
    """Carry bytes until both sides have ended; return whether they both did.

    False: one side broke, or neither said anything for `IDLE_TIMEOUT`. Both are closed by then, but for `outgoing`.
    """
    both_ended = True
    try:
        async with asyncio.timeout(IDLE_TIMEOUT) as idle, asyncio.TaskGroup() as directions:
            directions.create_task(_to_far(viewer, far, idle))
            directions.create_task(_to_viewer(far, outgoing, idle))
    except* (EdgeError, OSError):  # OSError: a far side that broke, or the timeout
        both_ended = False
    finally:
        far.close()
        viewer.close()
    return both_ended


async def _to_far(viewer: StreamBody, far: Duplex, idle: asyncio.Timeout) -> None:
    while data := await viewer.read():
        _stay(idle)
        await far.write(data)
    far.end()


async def _to_viewer(far: Duplex, outgoing: Outgoing, idle: asyncio.Timeout) -> None:
    while data := await far.read():
        _stay(idle)
        outgoing.write(data)
        await outgoing.drained()
    outgoing.end()


def _stay(idle: asyncio.Timeout) -> None:
    if (idle.when() or inf) < inf:
        idle.reschedule(asyncio.get_running_loop().time() + IDLE_TIMEOUT)
