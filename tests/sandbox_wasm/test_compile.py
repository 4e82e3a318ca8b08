"""Compiling in a process of its own, and the cache of what came out: nothing foreign is ever loaded from it."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from edgefn.sandbox.wasm import cache as cache_module
from edgefn.sandbox.wasm import compile as compile_module
from edgefn.sandbox.wasm.cache import CacheError, CodeCache, cache_key
from edgefn.sandbox.wasm.compile import CompileError, Compiler
from edgefn.sandbox.wasm.state import shown
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.stage import Stage

SOURCE = guests.ECHO
DIGEST = hashlib.sha256(SOURCE).hexdigest()


@pytest.fixture
def own_cache(tmp_path: Path) -> CodeCache:
    return CodeCache(tmp_path / "own", cache_key(tmp_path / "own"))


def only_file(cache: CodeCache) -> Path:
    (file,) = cache.directory.glob("*.cwasm")
    return file


async def test_a_module_is_compiled_once(own_cache: CodeCache) -> None:
    compiler = Compiler(own_cache)
    first = await compiler.code_of(SOURCE)
    assert await compiler.code_of(SOURCE) == first
    assert (compiler.compiled, compiler.found) == (1, 1)


async def test_the_cache_outlives_the_process(own_cache: CodeCache) -> None:
    await Compiler(own_cache).code_of(SOURCE)
    later = Compiler(CodeCache(own_cache.directory, cache_key(own_cache.directory)))
    await later.code_of(SOURCE)
    assert (later.compiled, later.found) == (0, 1)


@pytest.mark.parametrize("at", [0, 5, 20, 60, -1], ids=["magic", "magic's end", "seal", "code", "last byte"])
async def test_a_file_with_one_bit_flipped_is_built_anew(own_cache: CodeCache, at: int) -> None:
    compiler = Compiler(own_cache)
    genuine = await compiler.code_of(SOURCE)
    content = bytearray(only_file(own_cache).read_bytes())
    content[at] ^= 1
    only_file(own_cache).write_bytes(content)
    assert await compiler.code_of(SOURCE) == genuine
    assert compiler.compiled == 2
    assert own_cache.get(DIGEST) == genuine


@pytest.mark.parametrize("size", [0, 10, 49, 50, 51, 5000])
async def test_a_file_that_was_cut_off_is_built_anew(own_cache: CodeCache, size: int) -> None:
    own_cache.put(DIGEST, b"x" * 10_000)
    only_file(own_cache).write_bytes(only_file(own_cache).read_bytes()[:size])
    assert own_cache.get(DIGEST) is None


def test_a_file_sealed_with_another_key_is_not_ours(own_cache: CodeCache) -> None:
    CodeCache(own_cache.directory, os.urandom(32)).put(DIGEST, b"native code of a stranger")
    assert own_cache.get(DIGEST) is None


def test_a_file_of_another_module_is_not_taken_for_this_one(own_cache: CodeCache) -> None:
    own_cache.put("0" * 64, b"code of another")
    shutil.move(only_file(own_cache), str(only_file(own_cache)).replace("0" * 64, DIGEST))
    assert own_cache.get(DIGEST) is None


def test_a_file_of_another_engine_is_not_looked_at(own_cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache.put(DIGEST, b"code of today")
    old = only_file(own_cache)
    monkeypatch.setattr(cache_module, "CODE_SHAPE", "51.0.0/1")
    assert own_cache.get(DIGEST) is None
    own_cache.put(DIGEST, b"code of tomorrow")
    shutil.copy(old, own_cache._path(DIGEST))
    assert own_cache.get(DIGEST) is None


async def test_what_the_engine_rejects_is_compiled_anew(stage: Stage) -> None:
    source = guests.reactor(guests.returns(0, 2), more='(func (export "rejected"))')
    compiled = shown(source)
    assert compiled is not None
    digest = hashlib.sha256(compiled.source).hexdigest()
    stage.cache.put(digest, b"sealed by us, and yet not native code")
    assert await stage.result(source) == b"\0\0"
    assert stage.cache.get(digest) != b"sealed by us, and yet not native code"


def test_the_key_is_made_once_for_our_eyes_only(tmp_path: Path) -> None:
    key = cache_key(tmp_path / "new")
    assert len(key) == 32
    assert cache_key(tmp_path / "new") == key
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["key"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    cache_key(tmp_path)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(CacheError, match="must belong to the user of edgefn, with mode 0600"):
        cache_key(tmp_path)


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    with pytest.raises(CacheError, match="is not a key"):
        cache_key(tmp_path)


def test_a_key_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    cache_key(tmp_path / "elsewhere")
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere" / "key")
    with pytest.raises(OSError, match="symbolic links"):
        cache_key(tmp_path)


async def test_an_invalid_module_is_told_and_leaves_nothing(own_cache: CodeCache) -> None:
    with pytest.raises(CompileError, match="unexpected end"):
        await Compiler(own_cache).code_of(SOURCE[:40])
    assert [file.name for file in own_cache.directory.iterdir()] == ["key"]


def is_gone(process: int) -> bool:
    """Return whether a process has ended and was waited for."""
    try:
        os.waitpid(process, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def test_a_compilation_that_takes_too_long_is_killed(
    own_cache: CodeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[int] = []
    spawn = compile_module._spawn

    def noted(files: Sequence[IO[bytes]]) -> int:
        processes.append(spawn(files))
        return processes[-1]

    monkeypatch.setattr(compile_module, "_spawn", noted)
    with pytest.raises(CompileError, match=r"longer than 0\.001 seconds"):
        await Compiler(own_cache, timeout=0.001).code_of(SOURCE)
    assert [is_gone(process) for process in processes] == [True]
    assert [file.name for file in own_cache.directory.iterdir()] == ["key"]


async def test_a_compiler_that_dies_is_told(own_cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_module, "_PROGRAM", "edgefn.sandbox.wasm.no_such_program")
    with pytest.raises(CompileError, match=r"the compiler ended with status 1: .*no_such_program"):
        await Compiler(own_cache).code_of(SOURCE)


async def test_a_compiler_has_no_descriptor_of_ours(own_cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads what this process writes waits until the last copy of its descriptor is closed."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    try:
        spawn = compile_module._spawn

        def noted(files: Sequence[IO[bytes]]) -> int:
            process = spawn(files)
            for entry in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # it goes on opening and closing its own
                    seen.append(os.readlink(entry))
            return process

        seen: list[str] = []
        monkeypatch.setattr(compile_module, "_spawn", noted)
        await Compiler(own_cache).code_of(SOURCE)
        assert seen
        assert os.readlink(f"/proc/self/fd/{theirs}") not in seen
    finally:
        os.close(ours)
        os.close(theirs)
