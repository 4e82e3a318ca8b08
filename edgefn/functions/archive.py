"""Reading a bundle from a zip that somebody else made: nothing in it is believed."""

import io
import itertools
import stat
import zipfile
import zlib
from pathlib import Path

from edgefn.functions.bundle import (
    MAX_FILES,
    Bundle,
    BundleError,
    BundleFile,
    SizeLimit,
    check_name,
    read_directory,
    read_file,
)

MAX_ZIP_SIZE = 50 * 1024**2
"""The zip itself, in bytes (AWS: 50 MB zipped)."""

_CHUNK = 1 << 16
_KNOWN_COMPRESSION = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_UNIX = 3
_ENCRYPTED = 0x1
_ANY_READ = 0o444


def read_archive(data: bytes) -> Bundle:
    """Return the bundle in the zip `data`.

    Raises `BundleError`, naming the entry, for names that lead out, links, devices, modes that the sandbox user
    can't read, duplicates, overlapping or encrypted entries, unusual compression, bombs and torn archives.
    """
    if len(data) > MAX_ZIP_SIZE:
        raise BundleError(f"the zip is larger than {MAX_ZIP_SIZE // 1024**2} MB")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            limit = SizeLimit()
            return Bundle.of([_read_entry(archive, entry, limit) for entry in entries if not entry.is_dir()])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        # a ValueError is about names that are not the UTF-8 that they claim to be, or offsets before the beginning
        raise BundleError(f"the zip is broken: {error}") from error


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES:
        raise BundleError(f"the zip has more than {MAX_FILES:,} entries")
    for entry in entries:
        _check_entry(entry)
    spans = sorted((entry.header_offset, entry.header_offset + entry.compress_size) for entry in entries)
    for (_, end), (start, _) in itertools.pairwise(spans):
        if end > start:
            raise BundleError("the zip's entries overlap, as in a zip bomb")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename.rstrip("/")
    check_name(name)
    mode = entry.external_attr >> 16
    if entry.create_system == _UNIX and stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise BundleError(f"{name!r}: is neither a file nor a folder (links and devices are refused)")
    if entry.create_system == _UNIX and mode and not mode & _ANY_READ:
        raise BundleError(f"{name!r}: its mode {stat.S_IMODE(mode):04o} lets nobody read it; make it 0644 or 0755")
    if entry.flag_bits & _ENCRYPTED:
        raise BundleError(f"{name!r}: is encrypted")
    if entry.compress_type not in _KNOWN_COMPRESSION:
        raise BundleError(f"{name!r}: its compression method {entry.compress_type} is not supported; use deflate")


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: SizeLimit) -> BundleFile:
    limit.add(entry.filename, entry.file_size)
    content = bytearray()
    with archive.open(entry) as file:
        while chunk := file.read(_CHUNK):
            content += chunk
            if len(content) > entry.file_size:
                raise BundleError(f"{entry.filename!r}: is larger than the zip says")
    return BundleFile(entry.filename, bytes(content), bool((entry.external_attr >> 16) & 0o111))


def read_bundle(path: Path) -> Bundle:
    """Return the bundle at `path`: a directory, a `.zip`, or one source file. Raises `BundleError`."""
    try:
        if path.is_dir():
            return read_directory(path)
        if path.suffix == ".zip":
            return read_archive(path.read_bytes())
        return read_file(path)
    except FileNotFoundError as error:
        raise BundleError(f"{path}: there is no such file or folder") from error
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error
