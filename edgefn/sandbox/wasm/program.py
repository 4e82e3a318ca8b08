"""What a function's code offers to those who run it, whatever language it was written in."""

from typing import Protocol

from edgefn.sandbox.base import Code
from edgefn.sandbox.wasm.fibers import Slices
from edgefn.sandbox.wasm.guest import Guest
from edgefn.sandbox.wasm.standing import Stand


class LoadError(Exception):
    """A function's code can't be loaded. The message says why."""


class Program(Protocol):
    """The code of one version, ready to run. Each run is a fresh guest in a fresh instance.

    `stand` is where an instance stands ready for events that end at once; None where none can.
    """

    @property
    def stand(self) -> Stand | None:
        """Return the place of its instance."""

    def start(self, guest: Guest) -> Slices:
        """Return a fiber that begins as a run does and ends before the event: does the code start at all?"""

    def run(self, guest: Guest) -> Slices:
        """Return a fiber that handles `guest.invocation` and returns the result as JSON; it raises `GuestError`."""


class Loader(Protocol):
    """Makes programs from the code of one kind of runtime."""

    async def load(self, code: Code, memory: int) -> Program:
        """Return the program, whose guests may have `memory` bytes. Raises `LoadError`."""
