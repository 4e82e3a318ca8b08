"""A JavaScript function, ready to run: each invocation begins as a copy of its image."""

from collections.abc import Generator
from dataclasses import dataclass

import orjson

from edgefn.sandbox.js.machine import ASKS, Image, Machine, set_scene, take_log
from edgefn.sandbox.js.values import KeyValues, answers
from edgefn.sandbox.wasm.abi import unpacked
from edgefn.sandbox.wasm.cell import TRAP, Cell
from edgefn.sandbox.wasm.fibers import Slices
from edgefn.sandbox.wasm.guest import Guest, GuestError
from edgefn.sandbox.wasm.standing import Stand

_ANSWERED_AT_ONCE = 16
"""So often a guest may ask in one slice; with each further question it waits for its turn."""

_QUESTIONS = 64 * 1024


@dataclass(frozen=True, slots=True)
class JsProgram:
    """A `Program`. `opening` is what the function logged while it was evaluated.

    `timeout`, in seconds, is for a function that is told how much is left of it; None for the others, which are told
    nothing besides their event.
    """

    machine: Machine
    image: Image
    memory: int
    values: KeyValues | None
    timeout: float | None = None
    opening: tuple[str, ...] = ()
    stand: Stand | None = None

    def start(self, guest: Guest) -> Slices:
        """Return a fiber that makes an instance."""
        cell = self.machine.cells.open(guest, self.memory)
        try:
            self.machine.enter(cell, self.image)
        finally:
            cell.close()
        yield from _logged(self.opening, guest)
        return b""

    def run(self, guest: Guest) -> Slices:
        """Return a fiber that handles the event."""
        cell = self.machine.cells.open(guest, self.memory)
        try:
            self.machine.enter(cell, self.image)
            try:
                packed = yield from self._handle(cell, guest)
                return unpacked(cell, packed, guest.result_limit)
            except GuestError as error:
                raise told(error) from None
            finally:
                take_log(cell, self.image, guest)
        finally:
            cell.close()

    def _handle(self, cell: Cell, guest: Guest) -> Generator[None, None, int]:
        machine, image = self.machine, self.image
        event, body = guest.invocation.event, guest.invocation.body or b""
        if self.timeout is not None:
            event = _enveloped(guest, self.timeout)
        set_scene(cell, image, guest)
        yield from machine.put(cell, image, event, body)
        packed = yield from machine.call(cell, "handle", len(event), len(body))
        rounds = 0
        while packed & ASKS:
            rounds += 1
            if rounds > _ANSWERED_AT_ONCE:
                yield
            given = answers(_questions(cell, packed), self.values)
            yield from machine.put(cell, image, given)
            packed = yield from machine.call(cell, "resume", len(given))
        return packed


@dataclass(frozen=True, slots=True)
class JsKind:
    """How an instance of a `JsProgram` stands ready."""

    machine: Machine
    image: Image
    values: KeyValues | None
    timeout: float | None

    def make(self, cell: Cell) -> None:
        """Make an instance."""
        self.machine.make(cell, self.image)
        for slot, name in ((_HANDLE, "handle"), (_RESUME, "resume"), (_ALLOC, "alloc")):
            self.machine.export(cell, name, slot)

    def run(self, cell: Cell, guest: Guest) -> bytes:
        """Return the result of an event. Raises `GuestError`."""
        image = self.image
        event, body = guest.invocation.event, guest.invocation.body or b""
        if self.timeout is not None:
            event = _enveloped(guest, self.timeout)
        set_scene(cell, image, guest)
        self._put(cell, event, body)
        packed = cell.call_now(_HANDLE, len(event), len(body))
        rounds = 0
        while packed & ASKS:
            rounds += 1
            if rounds > _ANSWERED_AT_ONCE:
                raise GuestError("Runtime.Interrupted", "the function asks for so much that others must have a turn")
            given = answers(_questions(cell, packed), self.values)
            self._put(cell, given)
            packed = cell.call_now(_RESUME, len(given))
        take_log(cell, image, guest)
        return unpacked(cell, packed, guest.result_limit)

    def _put(self, cell: Cell, data: bytes, beside: bytes = b"") -> None:
        at, size = self.image.input_at, len(data) + 1 + len(beside)
        if size > self.image.input_size:
            at = cell.call_now(_ALLOC, size) & _U32
            if at == 0:
                raise GuestError("Runtime.OutOfMemory", "the event does not fit into the function's memory")
        cell.write(at, data)
        if beside:
            cell.write(at + len(data) + 1, beside)


_HANDLE, _RESUME, _ALLOC = 1, 2, 3
_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class BrokenProgram:
    """A `Program` that can't start: evaluating it ended with an error."""

    error: GuestError
    opening: tuple[str, ...] = ()
    stand: Stand | None = None

    def start(self, guest: Guest) -> Slices:
        """Return a fiber that raises."""
        yield from _logged(self.opening, guest)
        raise self.error

    def run(self, guest: Guest) -> Slices:
        """Return a fiber that raises."""
        return self.start(guest)


def told(error: GuestError) -> GuestError:
    """Return an error in the words of JavaScript, where it is a trap of the engine."""
    if error.type != TRAP:
        return error
    if "call stack exhausted" in error.message:
        return GuestError("RangeError", "Maximum call stack size exceeded")
    return GuestError("InternalError", f"the engine gave up, mostly for lack of memory ({_last_line(error.message)})")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()


def _enveloped(guest: Guest, timeout: float) -> bytes:
    """Return the event with what a handler's context says of the invocation."""
    invocation = guest.invocation
    remaining = max(0, round(timeout * 1000) - guest.elapsed_ms())
    attached = b"true" if invocation.body else b"false"
    head = b'{"id":%b,"remaining":%d,"attached":%b,"event":' % (orjson.dumps(invocation.id), remaining, attached)
    return head + invocation.event + b"}"


def _logged(lines: tuple[str, ...], guest: Guest) -> Generator[None]:
    for line in lines:
        guest.log.message(line.encode())
    yield from ()


def _questions(cell: Cell, packed: int) -> object:
    """Return what a guest asks. Raises `GuestError` when it is no JSON: the engine itself has been tampered with."""
    try:
        questions: object = orjson.loads(unpacked(cell, packed ^ ASKS, _QUESTIONS))
    except orjson.JSONDecodeError:
        raise GuestError("Runtime.InvalidQuestion", "the function asks for what nobody understands") from None
    return questions
