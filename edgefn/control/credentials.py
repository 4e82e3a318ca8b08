"""The token that opens the control API: made once per data directory, readable to its owner only."""

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
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(token_path(data_dir), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token(data_dir)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(fresh + "\n")
    return fresh
