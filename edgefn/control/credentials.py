"""The token that opens the control API: made once per data directory, readable to its owner only."""

import contextlib
import os
from pathlib import Path

_FILE = "admin.token"


def token_path(data_dir: str) -> Path:
    """Return where the token of `data_dir` is kept."""
    return Path(data_dir) / _FILE


def read_token(data_dir: str) -> str:
    """Return the token. Raises `OSError` when there is none, or it isn't ours to read."""
    return token_path(data_dir).read_text(encoding="ascii").strip()


def ensure_token(data_dir: str, fresh: str) -> str:
    """Return the token, writing `fresh` as the new one when there is none yet. Raises `OSError`."""
    directory = Path(data_dir)
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        # An empty one is what a full disk left behind, and would let in whoever sends no token.
        if token := read_token(data_dir):
            return token
    write_secret(token_path(data_dir), fresh + "\n")
    return fresh


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises `OSError`."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    unfinished.rename(file)
