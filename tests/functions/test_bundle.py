"""Bundles: the same files give one digest, and what could harm is refused by name."""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefn.functions import bundle as bundles
from edgefn.functions.archive import read_archive, read_bundle
from edgefn.functions.bundle import Bundle, BundleError, BundleFile


def packed(fill: Callable[[zipfile.ZipFile], object], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the duplicate that we make on purpose
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            fill(archive)
    return buffer.getvalue()


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def with_bytes(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def lying(data: bytes) -> bytes:
    central = data.rfind(b"PK\x01\x02")
    lied = bytearray(data)
    struct.pack_into("<I", lied, central + 24, 10)
    return bytes(lied)


def test_directory_and_zip_with_the_same_files_have_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "index.js").write_text("exports.handler = 1")
    (tmp_path / "lib" / "a.js").write_text("a")
    zipped = packed(
        lambda z: (z.writestr(entry("lib/a.js", 0o100664), "a"), z.writestr(entry("index.js"), "exports.handler = 1"))
    )

    assert read_bundle(tmp_path).digest == read_archive(zipped).digest


def test_a_changed_byte_or_executable_bit_changes_the_digest() -> None:
    digests = {
        Bundle.of([BundleFile("a", b"1")]).digest,
        Bundle.of([BundleFile("a", b"2")]).digest,
        Bundle.of([BundleFile("a", b"1", executable=True)]).digest,
        Bundle.of([BundleFile("a", b""), BundleFile("b", b"1")]).digest,
    }

    assert len(digests) == 4


def test_written_files_are_readable_to_all_and_keep_only_the_executable_bit(tmp_path: Path) -> None:
    archive = packed(lambda z: (z.writestr(entry("bin/run", 0o104775), "#!"), z.writestr(entry("index.js"), "x")))

    read_archive(archive).write(tmp_path / "out")

    assert stat.S_IMODE((tmp_path / "out/bin/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out/index.js").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "out/bin").stat().st_mode) == 0o755


REFUSED = {
    "zip slip": (packed(lambda z: z.writestr(entry("../evil"), "x")), "'../evil'"),
    "zip slip nested": (packed(lambda z: z.writestr(entry("a/../../evil"), "x")), "no empty, . or .. part"),
    "absolute": (packed(lambda z: z.writestr(entry("/etc/evil"), "x")), "must be relative"),
    "backslash": (packed(lambda z: z.writestr(entry("..\\evil"), "x")), "must be relative"),
    "drive": (packed(lambda z: z.writestr(entry("C:/evil"), "x")), "must be relative"),
    "dot segment": (packed(lambda z: z.writestr(entry("a/./b"), "x")), "no empty, . or .. part"),
    "symlink": (packed(lambda z: z.writestr(entry("link", 0o120777), "/etc")), "'link': is neither a file"),
    "device": (packed(lambda z: z.writestr(entry("dev", 0o060666), "")), "'dev'"),
    "fifo": (packed(lambda z: z.writestr(entry("fifo", 0o010666), "")), "'fifo'"),
    "mode 000": (packed(lambda z: z.writestr(entry("index.js", 0o100000), "x")), "'index.js': its mode 0000"),
    "bomb": (
        packed(lambda z: [z.writestr(entry(f"z{n}"), b"\0" * (32 << 20)) for n in range(9)]),
        "larger than 250 MB",
    ),
    "too many": (packed(lambda z: [z.writestr(entry(f"f{n}"), b"") for n in range(50_001)]), "more than 50,000"),
    "deep": (packed(lambda z: z.writestr(entry("/".join("d" * 500)), "x")), "too long or deeper"),
    "long name": (packed(lambda z: z.writestr(entry("n" * 60_000), "x")), "too long or deeper"),
    "duplicate": (packed(lambda z: (z.writestr(entry("a"), "1"), z.writestr(entry("a"), "2"))), "'a': stands"),
    "file as folder": (packed(lambda z: (z.writestr(entry("a"), "x"), z.writestr(entry("a/b"), "x"))), "both a file"),
    "lied size": (lying(packed(lambda z: z.writestr(entry("big"), b"\0" * (1 << 20)))), "big"),
    "lzma": (packed(lambda z: z.writestr("x", b"y" * 1000, compress_type=zipfile.ZIP_LZMA)), "use deflate"),
    "truncated": (packed(lambda z: z.writestr(entry("index.js"), "x" * 100))[:-30], "the zip is broken"),
    "name that is no UTF-8": (
        with_bytes(packed(lambda z: z.writestr(entry("é.js"), "x")), "é.js".encode(), b"\xff\xfe.js"),
        "the zip is broken",
    ),
    "folder before the beginning": (
        packed(lambda z: z.writestr(entry("a"), "x"))[:-6] + b"\xff\xff\xff\x7f\0\0",
        "the zip is broken",
    ),
    "not a zip": (b"hello", "the zip is broken"),
    "empty": (packed(lambda z: None), "no files"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_harmful_zip_is_refused_and_the_message_says_why(case: str) -> None:
    data, told = REFUSED[case]

    with pytest.raises(BundleError) as refused:
        read_archive(data)

    assert told in str(refused.value)


def test_an_overlapping_zip_is_refused() -> None:
    data = bytearray(packed(lambda z: (z.writestr(entry("a"), b"1" * 5000), z.writestr(entry("b"), b"2" * 5000))))
    second = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 5)

    with pytest.raises(BundleError):
        read_archive(bytes(data))


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(packed(lambda z: z.writestr(entry("a"), b"secret")))
    struct.pack_into("<H", data, data.rfind(b"PK\x01\x02") + 8, 1)

    with pytest.raises(BundleError, match="'a': is encrypted"):
        read_archive(bytes(data))


def test_links_inside_a_directory_are_followed_and_links_out_of_it_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "real.js").write_text("real")
    (tree / "link.js").symlink_to("real.js")
    assert {file.path: file.data for file in read_bundle(tree).files} == {"link.js": b"real", "real.js": b"real"}

    (tmp_path / "secret").write_text("hunter2")
    (tree / "out.js").symlink_to("../secret")
    with pytest.raises(BundleError, match=r"'out\.js': is a symbolic link that leaves the bundle"):
        read_bundle(tree)


def test_a_directory_link_to_itself_ends_at_the_depth_limit(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("x")
    (tmp_path / "loop").symlink_to(".")

    with pytest.raises(BundleError, match="deeper than 32 folders"):
        read_bundle(tmp_path)


def test_one_source_file_is_a_bundle_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "rewrite.js").write_text("exports.handler = 1")

    assert [file.path for file in read_bundle(tmp_path / "rewrite.js").files] == ["rewrite.js"]


def test_many_files_in_deep_folders_are_written_folder_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    plain = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", lambda self, *more, **named: (made.append(self), plain(self, *more, **named)))
    deep = "/".join("d" * 30)
    Bundle.of([BundleFile(f"{deep}/{number}", b"") for number in range(200)]).write(tmp_path / "code")
    assert len(made) == 31  # not one for each folder of each file: 50,000 of them took half a minute
    assert len(list((tmp_path / "code" / deep).iterdir())) == 200
    assert (tmp_path / "code" / "d" / "d").stat().st_mode & 0o777 == 0o755


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere: there is no such file or folder"):
        read_bundle(tmp_path / "nowhere")


def test_the_size_limit_holds_at_n_and_breaks_at_n_plus_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_SIZE", 10)
    limit = bundles.SizeLimit()
    limit.add("a", 10)

    with pytest.raises(BundleError):
        limit.add("b", 1)
