"""Lines on their way to a file or a stream, written by a thread of their own so that a slow disk stalls nobody."""

import threading
from collections import deque
from types import TracebackType
from typing import Protocol

_MAX_WAITING = 50_000
_GATHERING = 0.02
"""Seconds that lines wait for others: to wake the thread for each would cost a request more than all the rest of it."""


class Stream(Protocol):
    """Where lines end up."""

    def write(self, text: str, /) -> object:
        """Take whole lines. Raises `OSError`."""

    def flush(self) -> None:
        """Let readers see them. Raises `OSError`."""


class LineWriter:
    """Writes lines in order. Beyond 50,000 waiting lines it drops, and says how many."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgefn-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Take one line, without its newline. Never waits."""
        if len(self._waiting) >= _MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what waits, for up to two seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=2.0)

    def __enter__(self) -> "LineWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(_GATHERING)
            self._wake.clear()
            try:
                self._drain()
            except (BrokenPipeError, ValueError):
                return  # the reader of our output is gone: nothing is left to tell it
            except OSError:
                pass  # a full disk loses these lines, and may have room for the next
            if self._closing.is_set() and not self._waiting:
                return

    def _drain(self) -> None:
        lines: list[str] = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if self._dropped:
            lines.append(f"edgefn: {self._dropped} log lines dropped: the log is not read fast enough")
            self._dropped = 0
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
