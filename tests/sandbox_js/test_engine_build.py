"""The engine as it was built: it imports nothing, keeps all in its memory, and is made from the sources here."""

import pytest
from wasmtime import Engine, Module

from edgefn.sandbox.js.image import PAGE, code_module, initial_memory, memory_module
from edgefn.sandbox.js.loader import ENGINE
from edgefn.sandbox.wasm.binary import BinaryError, sections, shape_of
from edgefn.sandbox.wasm.cache import CodeCache
from tests.project.sources import script

build = script("build_engine.py")


@pytest.fixture(scope="module")
def engine(cache: CodeCache) -> bytes:
    assert cache is not None  # it is built before the cache is made
    return ENGINE.read_bytes()


def test_it_is_built_from_these_sources(engine: bytes) -> None:
    assert build.STAMP.read_text().split() == [build.fingerprint(), build.digest_of(ENGINE)]


def test_it_imports_nothing_and_does_nothing_by_itself(engine: bytes) -> None:
    assert list(Module(Engine(), engine).imports) == []
    assert not shape_of(engine).starts


def test_no_path_of_the_machine_is_in_it(engine: bytes) -> None:
    assert str(build.ROOT).encode() not in engine
    assert b"/home" not in engine
    assert b"/tmp" not in engine


def test_all_that_it_is_built_from_is_pinned_by_hash() -> None:
    pins = script("prepare.py").pins(build.LOCK)
    assert set(pins) == {"quickjs-ng", "ziglang"}
    assert all(digests for _, digests in pins.values())


def test_its_code_needs_a_memory_and_brings_none(engine: bytes) -> None:
    code = Module(Engine(), code_module(engine))
    assert [(entry.module, entry.name) for entry in code.imports] == [("image", "memory")]
    assert len(code_module(engine)) + 50_000 < len(engine)


def test_its_first_memory_is_the_one_that_a_module_of_it_has(engine: bytes) -> None:
    memory = initial_memory(engine)
    assert len(memory) % PAGE == 0
    assert initial_memory(memory_module(memory)) == memory


def test_a_memory_of_a_few_bytes_makes_a_small_module() -> None:
    memory = bytes(5 * PAGE + 4000) + b"here" + bytes(3 * PAGE - 4004)
    source = memory_module(memory)
    assert initial_memory(source) == memory
    assert len(source) < 10_000
    assert [export.name for export in Module(Engine(), source).exports] == ["memory"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [(2, b"\x01\x01m\x01n\x02\x00\x01"), (6, b"\x02\x7f\x01\x41\x00\x0b\x7f\x01\x41\x00\x0b")],
    ids=["imports", "two globals"],
)
def test_code_with_state_elsewhere_is_refused(kind: int, content: bytes) -> None:
    source = b"\0asm\1\0\0\0" + bytes([kind, len(content)]) + content
    assert [found for found, _ in sections(source)] == [kind]
    with pytest.raises(BinaryError):
        code_module(source)
