"""Compiled modules on disk. They are native code: only what carries our own seal is ever handed on."""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgefn.sandbox.wasm.engine import CODE_SHAPE

_KEY_FILE = "key"
_KEY_SIZE = 32
_MAGIC = b"edgefn-compiled-1\n"
_SEAL_SIZE = 32
_SUFFIX = ".cwasm"


class CacheError(Exception):
    """The cache's directory or key can't be used: others could write there, or it can't be written at all."""


def cache_key(directory: Path) -> bytes:
    """Return the key that seals what lies in `directory`; make both, for our eyes only, where there are none.

    Raises `CacheError` where someone else owns the key or may read it, and `OSError`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / _KEY_FILE
    with contextlib.suppress(FileExistsError):
        _make_key(directory, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise CacheError(f"{path}: must belong to the user of edgefn, with mode 0600")
        key = file.read(_KEY_SIZE + 1)
    if len(key) != _KEY_SIZE:
        raise CacheError(f"{path}: is not a key; delete it to have a new one")
    return key


def _make_key(directory: Path, path: Path) -> None:
    """Make a whole key appear at `path` in one step. Raises `FileExistsError`."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:  # its mode is 0600
        file.write(secrets.token_bytes(_KEY_SIZE))
        file.flush()
        os.link(file.name, path)


@dataclass(frozen=True, slots=True)
class CodeCache:
    """Native code by the digest of its source, for this version of the engine only."""

    directory: Path
    key: bytes

    def get(self, source_digest: str) -> bytes | None:
        """Return the code compiled from that source, or None: missing, broken, or not sealed by us."""
        try:
            content = self._path(source_digest).read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _SEAL_SIZE
        seal, code = content[len(_MAGIC) : start], content[start:]
        genuine = content.startswith(_MAGIC) and hmac.compare_digest(seal, self._seal(source_digest, code))
        return code if genuine else None

    def put(self, source_digest: str, code: bytes) -> None:
        """Keep the code compiled from that source: all of it or nothing. Raises `OSError`."""
        path = self._path(source_digest)
        descriptor, unfinished = tempfile.mkstemp(dir=self.directory, prefix="unfinished-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + self._seal(source_digest, code))
                file.write(code)
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise

    def _path(self, source_digest: str) -> Path:
        shape = hashlib.sha256(CODE_SHAPE.encode()).hexdigest()[:8]
        return self.directory / f"{source_digest}-{shape}{_SUFFIX}"

    def _seal(self, source_digest: str, code: bytes) -> bytes:
        about = f"{CODE_SHAPE}\n{source_digest}\n{len(code)}\n".encode()
        mac = hmac.new(self.key, about, hashlib.sha256)
        mac.update(code)
        return mac.digest()
