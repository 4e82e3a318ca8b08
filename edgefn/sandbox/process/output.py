"""What a function prints: read within a budget, cut into lines, made harmless, handed to the log.

The budget holds per call. What a call prints beyond it is thrown away, one pipe full at a time: a function that logs
an event with a large body goes on, and a flood blocks it on its own pipe, instead of costing the proxy CPU.
"""

import asyncio
import contextlib
import os
import re

from edgefn.sandbox.base import Log

BUDGET = 256 * 1024
"""Bytes of output that one call may make."""

LINE_LIMIT = 16 * 1024
"""Bytes of a line; a longer one is handed on in pieces."""

LINE_COST = 64
"""Bytes that a line counts beyond its own: handling a line costs the proxy time, however short it is."""

CUT = "... output cut at 256 KB"

_READ = 16 * 1024
_PIPE = 64 * 1024
_PACE = 0.004  # seconds between two pipes full that are thrown away: 16 MB/s at most, for less than a percent of a core
_DRAIN_READS = 64
_DANGEROUS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def printable(line: bytes) -> str:
    """Return a line as text in which nothing can end the line, move a cursor, or pose as another line."""
    return _DANGEROUS.sub(_escape, line.decode("utf-8", "replace"))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return (
        "\\r"
        if character == "\r"
        else f"\\x{ord(character):02x}"
        if character < "\u0100"
        else f"\\u{ord(character):04x}"
    )


class Lines:
    """Cuts bytes into lines of bounded length."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take `data`; return the lines that it completed."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line.removesuffix(b"\r"))]
        *pieces, self._rest = _pieces(rest)
        return [printable(line) for line in (*lines, *pieces)]

    def flush(self) -> list[str]:
        """Return the unfinished line, if there is one."""
        rest, self._rest = self._rest, b""
        return [printable(rest)] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    """Return `line` in pieces of at most `LINE_LIMIT` bytes, none of which starts inside a UTF-8 character."""
    pieces = []
    while len(line) > LINE_LIMIT:
        end = LINE_LIMIT
        while end > LINE_LIMIT - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]


class Output:
    """The reader of one worker's pipe. `log` is told every line, with the id of the call it belongs to."""

    __slots__ = ("_fd", "_id", "_left", "_lines", "_log", "_loop", "_reading", "_thrower")

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, log: Log) -> None:
        self._loop = loop
        self._fd = fd
        self._log = log
        self._id = ""
        self._left = BUDGET
        self._lines = Lines()
        self._reading = False
        self._thrower: asyncio.TimerHandle | None = None
        self._read_on()

    def attach(self, log: Log) -> None:
        """Tell `log` from now on."""
        self._log = log

    def begin(self, request_id: str) -> None:
        """Give what comes from now on to `request_id`, with a fresh budget."""
        self._id = request_id
        if self._left == 0:
            self._stop_throwing()
            self._drain()
            self._read_on()
        self._left = BUDGET

    def note(self, text: str) -> None:
        """Put a line of our own among the function's."""
        self._log(self._id, text)

    def finish(self) -> None:
        """Take what is in the pipe without waiting for more, and end the last line."""
        self._stop_throwing()
        self._drain()
        self._emit(self._lines.flush())

    def close(self) -> None:
        """Take what is left and close the pipe. Harmless when repeated."""
        if self._fd < 0:
            return
        self.finish()
        self._pause()
        os.close(self._fd)
        self._fd = -1

    def _drain(self) -> None:
        """Empty the pipe; what is beyond the budget is thrown away."""
        for _ in range(_DRAIN_READS):
            if self._fd < 0 or not self._step():
                break

    def _step(self) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._pause()
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        if self._left == 0:
            return
        lines = self._lines.feed(data[: self._left])
        self._emit(lines[: self._left // LINE_COST + 1])
        self._left = max(self._left - len(data) - LINE_COST * len(lines), 0)
        if self._left == 0:
            self._pause()
            self._emit([*self._lines.flush(), CUT])
            self._throw_later()

    def _throw_later(self) -> None:
        self._thrower = self._loop.call_later(_PACE, self._throw)

    def _throw(self) -> None:
        """Throw away what is in the pipe, so that the function does not wait for good."""
        try:
            more = os.read(self._fd, _PIPE) != b""
        except BlockingIOError:
            more = True
        except OSError:
            more = False
        self._thrower = None
        if more:
            self._throw_later()

    def _stop_throwing(self) -> None:
        if self._thrower is not None:
            self._thrower.cancel()
            self._thrower = None

    def _emit(self, lines: list[str]) -> None:
        for line in lines:
            self._log(self._id, line)

    def _read_on(self) -> None:
        if not self._reading and self._fd >= 0:
            self._reading = True
            self._loop.add_reader(self._fd, self._step)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            with contextlib.suppress(OSError):
                self._loop.remove_reader(self._fd)
