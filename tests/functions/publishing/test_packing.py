"""Bundles as bytes and back: the same bytes for the same files, and nothing is believed that comes back."""

import tracemalloc
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.functions import bundle as bundles
from edgefn.functions import packing
from edgefn.functions.bundle import Bundle, BundleError, BundleFile
from edgefn.functions.packing import packed, unpacked

paths = st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=3).map("/".join)
some_files = st.lists(
    st.builds(BundleFile, paths, st.binary(max_size=200), st.booleans()),
    min_size=1,
    max_size=6,
    unique_by=lambda file: file.path,
)


@given(some_files)
def test_a_bundle_comes_back_as_it_was(files: list[BundleFile]) -> None:
    try:
        whole = Bundle.of(files)
    except BundleError:  # a file in the place of a folder
        return
    assert unpacked(packed(whole)) == whole
    assert packed(Bundle.of(files[::-1])) == packed(whole)


def raw(head: object, data: bytes = b"") -> bytes:
    return b"edgefn-bundle-1\n" + zlib.compress(orjson.dumps(head) + b"\n" + data)


WHOLE = packed(Bundle.of([BundleFile("index.js", b"x" * 1000)]))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no packed bundle"),
        (b"PK\x03\x04", "no packed bundle"),
        (WHOLE[:40], "torn|broken"),
        (WHOLE[:-1], "longer than it says|torn"),
        (WHOLE + b"x", "longer than it says"),
        (raw([["a", False, 3]], b"ab"), "torn"),
        (raw([["a", False, 1]], b"ab"), "longer than it says"),
        (raw([]), "no files"),
        (raw({}), "broken"),
        (raw([["a", 0, 1]], b"a"), "broken"),
        (raw([["a", False, -1]]), "broken"),
        (raw([["a", False, 1], []], b"a"), "broken"),
        (b"edgefn-bundle-1\n" + zlib.compress(b'[["a",false,1]["b",false,1]]\nab'), "broken"),
        (b"edgefn-bundle-1\n" + zlib.compress(b'[["a",false,1][["b",false,1]]\nab'), "broken"),
        (b"edgefn-bundle-1\n" + zlib.compress(b'[["a",false,1],\na'), "broken"),
        (b"edgefn-bundle-1\n" + zlib.compress(b'[["a",false,1]\na'), "broken"),
        (b"edgefn-bundle-1\n" + zlib.compress(b'[["\\ud800",false,1]]\na'), "broken"),
        (raw([["../a", False, 1]], b"a"), "no empty, . or .. part"),
        (raw([["/etc/passwd", False, 1]], b"a"), "must be relative"),
        (raw([["a", False, 1], ["a", False, 1]], b"aa"), "twice"),
        (b"edgefn-bundle-1\n" + zlib.compress(b"x" * 100), "broken"),
    ],
)
def test_what_is_no_packed_bundle_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(BundleError, match=told):
        unpacked(content)


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_SIZE", 1_000_000)
    with pytest.raises(BundleError, match="'a': the bundle is larger than"):
        unpacked(raw([["a", False, 2_000_000]], b"0" * 2_000_000))


def test_a_list_of_files_is_not_read_whole_before_it_is_looked_at() -> None:
    brackets = b"edgefn-bundle-1\n" + zlib.compress(b"[" + b"[]," * 2_000_000 + b"[]]\n")
    assert len(brackets) < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="list of files is broken"):
            unpacked(brackets)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000  # read whole, it takes 128 MB and more


@pytest.mark.parametrize("name", ['a"],["b', "],[", "\n\x01\x7f", "é\u2028", "x" * 255])
def test_any_name_that_a_file_may_have_comes_back(name: str) -> None:
    whole = Bundle.of([BundleFile(name, b"1"), BundleFile("z", b"2")])
    assert unpacked(packed(whole)) == whole


def test_a_bundle_that_packs_too_large_names_its_largest_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_PACKED", 1024)
    noise = b"".join(index.to_bytes(4, "big") * 3 for index in range(0, 2**28, 77_777))
    with pytest.raises(BundleError, match=r"its largest file is 'big\.bin'"):
        packed(Bundle.of([BundleFile("index.js", b"x"), BundleFile("big.bin", noise)]))
