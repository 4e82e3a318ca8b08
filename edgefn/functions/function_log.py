"""The log of one version: each line knows the invocation that it is of, and the viewer's request behind that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_REMEMBERED: Final = 2_048
"""Invocations. More than can run at one time: what a function wrote may come a little after its end."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `invocation` is a UUID or "", `request` the X-Amz-Cf-Id of the viewer's request or ""."""

    function: str
    version: str
    invocation: str
    request: str
    text: str


class FunctionLog:
    """Gives lines their ids. `write` takes them."""

    __slots__ = ("_function", "_requests", "_version", "_write")

    def __init__(self, function: str, version: str, write: Callable[[LogLine], None]) -> None:
        self._function = function
        self._version = version
        self._write = write
        self._requests: dict[str, str] = {}

    def begin(self, invocation: str, request: str) -> None:
        """Take note of the request that an invocation is for."""
        if len(self._requests) >= _MOST_REMEMBERED:
            del self._requests[next(iter(self._requests))]
        self._requests[invocation] = request

    def write(self, invocation: str, text: str) -> None:
        """Write a line of an invocation, "" for none."""
        self._write(LogLine(self._function, self._version, invocation, self._requests.get(invocation, ""), text))
