"""The index's file: its tables, how it is opened, and who may begin it anew.

Every process that has the store open holds a shared lock. An index that is broken, or was written in another format,
is thrown away by the first process that finds itself alone; others would go on with a file that no longer has a name.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from edgefn.stores.base import StoreError
from edgefn.stores.disk.heads import FORMAT
from edgefn.stores.disk.seals import BLOCK

PAGE = 4_096
"""The bytes of a page of the index."""

_TABLES = """
PRAGMA page_size=4096;
PRAGMA auto_vacuum=INCREMENTAL;
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, place TEXT NOT NULL, variant TEXT NOT NULL, epoch INTEGER NOT NULL,
    softened REAL, used INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, in_file INTEGER NOT NULL,
    tags TEXT NOT NULL, seal BLOB NOT NULL, head BLOB NOT NULL, UNIQUE (place, variant));
CREATE TABLE IF NOT EXISTS bodies (number INTEGER PRIMARY KEY, seal BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tags (tag TEXT, number INTEGER, PRIMARY KEY (tag, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    epoch INTEGER PRIMARY KEY, purge TEXT NOT NULL, soft INTEGER NOT NULL, at REAL NOT NULL,
    done INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS unfinished ON orders (epoch) WHERE NOT done;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value NUMERIC NOT NULL) WITHOUT ROWID;
INSERT INTO counts VALUES ('next', 1), ('entries', 0), ('size', 0), ('dead entries', 0), ('dead size', 0),
    ('hand', 0), ('round end', 0), ('hard floor', 0), ('soft floor', 0), ('softened at', 0), ('forgotten', 0);
"""
_COUNTS = frozenset(re.findall(r"\('([a-z ]+)', [01]\)", _TABLES))

SMALL = 32_768
"""A body of at most so many bytes lies in the index, a larger one in a file of its own."""

_STAMP = hashlib.sha256(f"{_TABLES}{FORMAT}{SMALL}{BLOCK}".encode()).hexdigest()
_BUSY = 5.0  # seconds that a transaction waits for another process
_TRIES = 1_000
_PAUSE = 0.01  # seconds between two tries
_CACHE_KB = 4_000
_KEPT_LOG = 2**26  # bytes of the log's file that stay when it has been emptied


def connected(directory: Path) -> sqlite3.Connection:
    """Return a connection to the index, to be used by one thread at a time."""
    # Autocommit: transactions are begun by name, so that a write lock is taken before anything is read.
    db = sqlite3.connect(directory / "index.db", timeout=_BUSY, isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"cache_size=-{_CACHE_KB}",
        "mmap_size=0",  # a file cut short under a map is a signal, not an error
        "secure_delete=OFF",
        f"journal_size_limit={_KEPT_LOG}",
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def _text(raw: bytes) -> str:
    """Return text as it is, or something like it where a bit has flipped: one broken entry must not stop the others."""
    return raw.decode("utf-8", "replace")


def prepared(directory: Path) -> int:
    """Make the store ready to be opened; return the lock that says that it is open. Raises `OSError`, `StoreError`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _is_locked(lock, fcntl.LOCK_EX):
            if not _is_sound(directory):
                _begin_anew(directory)
            (directory / "known").unlink(missing_ok=True)  # of before; it is made of the index
            fcntl.flock(lock, fcntl.LOCK_SH)
        else:
            _wait_until(lambda: _is_locked(lock, fcntl.LOCK_SH))
            if not _is_sound(directory):
                raise StoreError("the index is broken, and other processes still have it open: restart them together")
    except BaseException:
        os.close(lock)
        raise
    return lock


def discard(directory: Path) -> None:
    """Remove the store, unless a process has it open. Raises `OSError`."""
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if _is_locked(lock, fcntl.LOCK_EX):
            condemn(directory)
            shutil.rmtree(directory)
    finally:
        os.close(lock)


def condemn(directory: Path) -> None:
    """Say that the index is broken: who opens the store alone begins anew."""
    (directory / "stamp").unlink(missing_ok=True)


def _is_locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_until(is_done: Callable[[], bool]) -> None:
    for _ in range(_TRIES):
        if is_done():
            return
        time.sleep(_PAUSE)
    raise StoreError("another process has been making the store ready for too long")


def _is_sound(directory: Path) -> bool:
    """Return whether the index is there, in our format, and can be read as far as one can tell at once."""
    try:
        if (directory / "stamp").read_text("ascii") != _STAMP:
            return False
        db = connected(directory)
    except (OSError, ValueError, sqlite3.DatabaseError):
        return False
    try:
        db.execute("SELECT max(number) FROM entries").fetchone()
        if {name for (name,) in db.execute("SELECT name FROM counts WHERE typeof(value) != 'text'")} != _COUNTS:
            return False
    except sqlite3.DatabaseError:
        return False
    finally:
        db.close()
    return True


def _begin_anew(directory: Path) -> None:
    condemn(directory)
    for name in ("index.db", "index.db-wal", "index.db-shm", "epoch"):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / "bodies", ignore_errors=True)
    (directory / "bodies").mkdir(mode=0o700, exist_ok=True)
    db = sqlite3.connect(directory / "index.db")
    try:
        db.executescript(_TABLES)
    finally:
        db.close()
    (directory / "stamp").write_text(_STAMP, "ascii")
