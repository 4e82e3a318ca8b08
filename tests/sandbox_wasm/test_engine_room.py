"""The engine room: it knows its wasmtime, it ticks only when it must, and its numbers are right."""

import asyncio
import ctypes
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest
from wasmtime import _bindings

from edgefn.sandbox.base import Failed, Invocation
from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.cache import CodeCache
from edgefn.sandbox.wasm.engine import Sizes
from edgefn.sandbox.wasm.fibers import Bounds
from edgefn.sandbox.wasm.room import EngineRoom, Senses
from edgefn.sandbox.wasm.ticker import Ticker
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.stage import Stage

ROOT = Path(__file__).parents[2]


def test_another_wasmtime_is_named_with_the_one_that_is_expected() -> None:
    told = str(raw.mismatch("it has no wasmtime_func_call_async"))
    assert told.startswith("edgefn needs wasmtime 50.0.1 exactly, found ")
    assert told.endswith("it has no wasmtime_func_call_async")


def test_a_symbol_that_is_missing_is_named() -> None:
    with pytest.raises(ImportError, match="it has no wasmtime_no_such_call"):
        raw._declare(raw._HOLDING, "wasmtime_no_such_call", 1)


def test_a_symbol_that_takes_other_arguments_is_named() -> None:
    with pytest.raises(ImportError, match="wasmtime_store_new takes other arguments"):
        raw._declare(raw._HOLDING, "wasmtime_store_new", 4)


def test_a_layout_that_has_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Grown(ctypes.Structure):
        _fields_ = (("kind", ctypes.c_uint8), ("of", ctypes.c_uint64 * 4))

    monkeypatch.setattr(raw, "_LAYOUTS", ((raw.Extern, Grown, (("kind", "kind"), ("of", "of"))),))
    with pytest.raises(ImportError, match="the size of Grown has changed"):
        raw._check_layouts()


def test_a_field_that_has_moved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moved(ctypes.Structure):
        _fields_ = (("of", ctypes.c_uint64 * 3), ("kind", ctypes.c_uint8))

    monkeypatch.setattr(raw, "_LAYOUTS", ((raw.Extern, Moved, (("kind", "kind"), ("of", "of"))),))
    with pytest.raises(ImportError, match="the layout of Moved has changed"):
        raw._check_layouts()


def test_the_values_of_host_functions_have_the_size_that_we_step_by() -> None:
    assert ctypes.sizeof(_bindings.wasmtime_val_raw_t) == raw.RAW_VALUE_SIZE


def test_there_must_be_more_slots_than_guests_that_spin(cache: CodeCache) -> None:
    senses = Senses(time.monotonic, time.thread_time, time.time, bytes)
    with pytest.raises(ValueError, match="8 slots can't hold 8 guests and one more"):
        EngineRoom(Sizes(slots=8), Bounds(spinning=8), cache, senses)


ROGUE = """
import asyncio, faulthandler, sys
from pathlib import Path
from edgefn.sandbox.wasm.cache import CodeCache, cache_key
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.stage import Stage

async def main(home):
    stage = Stage(home, CodeCache(home / "cache", cache_key(home / "cache")))
    faulthandler.enable()
    print((await stage.failure(guests.OUT_OF_BOUNDS)).message)
    await stage.host.close()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_rogue_guest_kills_no_process_even_where_faulthandler_is_enabled_late(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ROGUE, str(tmp_path), cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=PIPE, stderr=PIPE
    )
    told, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"out of bounds memory access" in told


class Ticks:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def ticker(ticks: Ticks) -> Iterator[Ticker]:
    ticker = Ticker(ticks)
    yield ticker
    ticker.close()


def until_asleep(ticker: Ticker) -> None:
    deadline = time.monotonic() + 10
    while not ticker.asleep:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_ticker_falls_asleep_when_nobody_runs(ticker: Ticker, ticks: Ticks) -> None:
    until_asleep(ticker)
    seen = ticks.count
    time.sleep(0.02)
    assert ticks.count == seen


def test_a_touch_wakes_the_ticker_every_time(ticker: Ticker, ticks: Ticks) -> None:
    for _ in range(3):
        until_asleep(ticker)
        seen = ticks.count
        ticker.touch()
        deadline = time.monotonic() + 10
        while ticks.count == seen:
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_a_sleeping_ticker_can_be_closed(ticks: Ticks) -> None:
    ticker = Ticker(ticks)
    until_asleep(ticker)
    ticker.close()
    assert not ticker._thread.is_alive()


async def test_statistics_count_what_happened(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    await stage.open(guests.COUNTER)
    for number in range(3):
        await sandbox.run(Invocation(str(number), b"{}"))
    told = stage.host.statistics()
    assert (told.open, told.alive, told.spinning, told.waiting) == (2, 0, 0, 0)
    assert told.started == 5  # both were started once when they were opened
    assert (told.expired, told.refused) == (0, 0)


async def test_a_closed_function_runs_nothing(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    await sandbox.close()
    await sandbox.close()
    outcome = await sandbox.run(Invocation("id-1", b"{}"))
    assert isinstance(outcome, Failed)
    assert outcome.type == "Sandbox.Closed"
    assert stage.host.statistics().open == 0
