"""What a hook calls: the code of the configuration, one published version, or what an alias points at just now."""

from typing import Protocol

from edgefn.functions.runner import Runner
from edgefn.model.message import Request


class Callee(Protocol):
    """Says which runner takes a request's event. What is chosen must be run without waiting in between."""

    @property
    def label(self) -> str:
        """Return how logs and errors name it: "function" or "function:qualifier"."""

    @property
    def sole(self) -> Runner | None:
        """Return the runner that every request gets, None where that depends on the request."""

    def choose(self, request: Request) -> Runner | None:
        """Return the runner for `request`, None when nothing is published under this name."""

    def before(self, runner: Runner) -> Runner | None:
        """Return the last good version besides `runner`, if one is warm."""

    def count(self, runner: Runner, *, failed: bool) -> None:
        """Take note of an invocation and how it ended."""


class Configured:
    """The code of the configuration: one runner for all."""

    __slots__ = ("_runner",)

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def label(self) -> str:
        """Return the function's name."""
        return self._runner.name

    @property
    def sole(self) -> Runner:
        """Return the one runner there is."""
        return self._runner

    def choose(self, request: Request) -> Runner:
        """Return the one runner there is."""
        del request
        return self._runner

    def before(self, runner: Runner) -> None:
        """Return nothing: code of the configuration has no versions."""

    def count(self, runner: Runner, *, failed: bool) -> None:
        """Count nothing."""
