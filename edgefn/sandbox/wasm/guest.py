"""One guest: what it was given, what it may reach, and what it leaves behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgefn.sandbox.base import Invocation
from edgefn.sandbox.process.output import Lines

Values = Callable[[bytes], bytes | None]
"""A key-value store: the value of a key, or None."""


class GuestError(Exception):
    """A guest failed, or lied. `type` and `message` as in AWS's error document, `trace` innermost frame first."""

    def __init__(self, type_: str, message: str, trace: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.type = type_
        self.message = message
        self.trace = trace


@dataclass(frozen=True, slots=True)
class LogLimits:
    """What one invocation may log: bytes, and lines (short ones cost too)."""

    size: int = 32 * 1024
    lines: int = 512


class GuestLog:
    """The lines that a guest writes, up to its limits, made harmless."""

    __slots__ = ("_cutter", "_left", "_lines", "limits")

    def __init__(self, limits: LogLimits) -> None:
        self.limits = limits
        self._lines: list[str] = []
        self._cutter: Lines | None = None  # most write nothing
        self._left = limits.size

    @property
    def room(self) -> int:
        """Return how many bytes it still takes."""
        return self._left if len(self._lines) < self.limits.lines else 0

    def write(self, data: bytes) -> None:
        """Take a piece of output; a newline ends a line. What is beyond the limits is dropped."""
        data = data[: self.room]
        self._left -= len(data)
        if self._cutter is None:
            self._cutter = Lines()
        self._lines += self._cutter.feed(data)

    def message(self, data: bytes) -> None:
        """Take one message, of one or more lines."""
        self.write(data + b"\n")

    def finish(self) -> list[str]:
        """Return all lines, and one that says so where they were cut."""
        if self._cutter is None:
            return []
        lines = [*self._lines, *self._cutter.flush()]
        cut = self.room <= 0 or len(lines) > self.limits.lines
        return [*lines[: self.limits.lines], "... log cut at its limit"] if cut else lines


@dataclass(frozen=True, slots=True)
class Grants:
    """All that the guests of one function can reach. `random` returns that many bytes, `clock` seconds that pass."""

    random: Callable[[int], bytes]
    clock: Callable[[], float]
    function: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    values: Values | None = None


@dataclass(slots=True, eq=False)
class Guest:
    """One invocation inside the sandbox. `now` is the Unix time in seconds at its start, when the clock said `began`.

    `memory` becomes the most bytes of linear memory that it had, `exit_code` what a command module exits with.
    """

    invocation: Invocation
    grants: Grants
    log: GuestLog
    now: float
    began: float
    result_limit: int
    memory: int = 0
    exit_code: int | None = None
    input: bytes = b""
    read_so_far: int = 0
    output: bytearray = field(default_factory=bytearray)

    def elapsed_ms(self) -> int:
        """Return the whole milliseconds since the start: too coarse to time a neighbour by."""
        return int((self.grants.clock() - self.began) * 1000)
