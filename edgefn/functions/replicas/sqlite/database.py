"""The database of a replica: its tables, and the changes that are made to them, each in one transaction."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgefn.functions.replicas.base import (
    MAX_RECORD,
    ConflictError,
    PurgeOrder,
    Record,
    ReplicaError,
    Stored,
    UnavailableError,
    UnknownOutcomeError,
)

FILE = "replica.db"
FORMAT = 1
PURGES_KEPT = 7 * 86_400.0
"""Seconds for which purges are kept: who was away for longer flushes everything."""

MOST_PURGES = 100_000
_SAME_OP = 120.0
_BUSY = 5.0
_KEPT_LOG = 2**26

_TABLES = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL UNIQUE, value BLOB NOT NULL);
CREATE TABLE purges (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL, told BLOB NOT NULL, at REAL NOT NULL);
CREATE INDEX purges_by_op ON purges (op);
CREATE INDEX purges_by_age ON purges (at);
CREATE TABLE statuses (
    number INTEGER PRIMARY KEY AUTOINCREMENT, location TEXT NOT NULL UNIQUE, status BLOB NOT NULL);
PRAGMA user_version={FORMAT};
"""


class DamagedError(Exception):
    """SQLite finds nothing wrong, and yet this is not what was written: it keeps no check sums."""


def connected(directory: Path) -> sqlite3.Connection:
    """Return a connection, for one thread at a time. Raises `sqlite3.Error`."""
    # Autocommit: transactions are begun by name, so that the write lock is taken before anything is read.
    db = sqlite3.connect(directory / FILE, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # what is acknowledged outlives a power cut
        "mmap_size=0",  # a file cut short under a map is a signal, not an error
        f"journal_size_limit={_KEPT_LOG}",
    ):
        db.execute(f"PRAGMA {pragma}").close()
    return db


def prepare(directory: Path, incarnation: str) -> None:
    """Make the database unless it is there; `incarnation` names a new log. Raises `ReplicaError`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"{directory} can't be made: {error.strerror}") from error
    _make_private(directory / FILE)
    with translated(directory):
        db = connected(directory)
        try:
            _make(db, directory, incarnation)
        finally:
            db.close()


def _make_private(file: Path) -> None:
    """Let nobody else read the database, nor what SQLite puts beside it: variables may be in it in clear.

    One that is there is not opened here: to close any descriptor of it would end all locks that this process has on it
    (POSIX). Then the next process to leave takes itself for the last one, and removes the log that ours go on writing.
    """
    try:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with suppress(PermissionError):  # another user's, who lets us in
            file.chmod(0o600)
    except OSError as error:
        raise UnavailableError(f"{file} can't be opened or written: {error.strerror}; see to its rights") from error


def _make(db: sqlite3.Connection, directory: Path, incarnation: str) -> None:
    with _transaction(db):
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO facts VALUES ('incarnation', ?)", (incarnation,))
        elif found != FORMAT:
            raise ReplicaError(
                f"{directory / FILE} has the format {found}, and this edgefn knows {FORMAT}: start the edgefn that "
                "wrote it, or move it away and publish again"
            )


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Raise what SQLite says as a `ReplicaError` that names the file and the cure."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(directory / FILE, error) from error
    except (DamagedError, UnicodeDecodeError) as error:  # also what SQLite says of rotten bytes may hold some of them
        raise _damaged(directory / FILE, str(error)) from error


def _error(file: Path, error: sqlite3.Error) -> ReplicaError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return UnavailableError(f"{file} is locked by another process for too long; try again")
        case sqlite3.SQLITE_FULL:
            return UnavailableError(f"{file} can't grow: the disk is full; make room and try again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return UnavailableError(f"{file} can't be opened or written: {error}; see to its rights and its disk")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(file, str(error))
        case _:
            return ReplicaError(f"{file}: {error}")


def _damaged(file: Path, why: str) -> ReplicaError:
    return ReplicaError(f"{file} is damaged ({why}): put a backup in its place, or move it away")


@contextmanager
def _transaction(db: sqlite3.Connection, *, is_synced: bool = True) -> Iterator[None]:
    """Commit what is done in the block. What is not synced is there for all processes, whatever becomes of them; when
    the power fails it may be gone, but never without what was committed after it.
    """
    db.execute(f"PRAGMA synchronous={'FULL' if is_synced else 'NORMAL'}").close()
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(db)
        raise
    _commit(db)


def _commit(db: sqlite3.Connection) -> None:
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
            raise UnknownOutcomeError(
                f"the disk failed while it was written ({error}): it may be there or not"
            ) from error
        raise


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def incarnation(db: sqlite3.Connection) -> str:
    """Return the log's name. Raises `DamagedError`."""
    row: object = db.execute("SELECT value FROM facts WHERE name = 'incarnation'").fetchone()
    match row:
        case (str(name),):
            return name
        case _:
            raise DamagedError("the log has no name")


def append(
    db: sqlite3.Connection, records: Sequence[Record], expected: Mapping[str, int], *, is_synced: bool = True
) -> int:
    """Commit all records, or none; return the sequence of the last one. Raises `ConflictError` and `ReplicaError`."""
    large = next((record for record in records if len(record.value) > MAX_RECORD), None)
    if large is not None or not records:
        what = "there is no record" if large is None else f"the record {large.subject} has {len(large.value)} bytes"
        raise ReplicaError(f"{what}; a commit takes at least one, each with at most {MAX_RECORD} bytes")
    with _transaction(db, is_synced=is_synced):
        for subject, sequence in expected.items():
            row = db.execute("SELECT sequence FROM records WHERE subject = ?", (subject,)).fetchone()
            if sequence != (0 if row is None else row[0]):
                raise ConflictError(f"{subject} has been changed by somebody else meanwhile")
        last = 0
        for record in records:
            db.execute("DELETE FROM records WHERE subject = ?", (record.subject,))
            done = db.execute("INSERT INTO records (subject, value) VALUES (?, ?)", (record.subject, record.value))
            last = done.lastrowid or last
    return last


def get(db: sqlite3.Connection, subject: str) -> Stored | None:
    """Return the newest record of a subject, or None."""
    row = db.execute("SELECT sequence, subject, value FROM records WHERE subject = ?", (subject,)).fetchone()
    return None if row is None else _stored(row)


def read(db: sqlite3.Connection, after: int) -> list[Stored]:
    """Return the newest record of every subject beyond `after`, in order."""
    rows = db.execute("SELECT sequence, subject, value FROM records WHERE sequence > ? ORDER BY sequence", (after,))
    return [_stored(row) for row in rows.fetchall()]


def _stored(row: object) -> Stored:
    match row:
        case (int(sequence), str(subject), bytes(value)):
            return Stored(sequence, subject, value)
        case _:
            raise DamagedError("a record is of another kind")


def last_sequence(db: sqlite3.Connection, table: str) -> int:
    """Return the last sequence that was given in `table`, 0 for none. Raises `DamagedError`."""
    row: object = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    match row:
        case None:
            return 0
        case (int(last),):
            return last
        case _:
            raise DamagedError(f"the last sequence of {table} is no number")


def order_purge(db: sqlite3.Connection, told: bytes, op: str, now: float, *, is_synced: bool = True) -> int:
    """Append a purge and return its sequence; one of the same `op` within two minutes is the same."""
    with _transaction(db, is_synced=is_synced):
        known = db.execute("SELECT sequence FROM purges WHERE op = ? AND at > ?", (op, now - _SAME_OP)).fetchone()
        if known is not None:
            return int(known[0])
        done = db.execute("INSERT INTO purges (op, told, at) VALUES (?, ?, ?)", (op, told, now))
        sequence = done.lastrowid or 0
        db.execute("DELETE FROM purges WHERE at < ? OR sequence <= ?", (now - PURGES_KEPT, sequence - MOST_PURGES))
    return sequence


def read_purges(db: sqlite3.Connection, after: int, most: int) -> list[PurgeOrder]:
    """Return the purges beyond `after` in order, at most so many."""
    rows = db.execute(
        "SELECT sequence, told, at FROM purges WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, most)
    )
    return [_purge_order(row) for row in rows.fetchall()]


def _purge_order(row: object) -> PurgeOrder:
    match row:
        case (int(sequence), bytes(told), int() | float() as at):
            return PurgeOrder(sequence, told, at)
        case _:
            raise DamagedError("a purge is of another kind")


def first_purge(db: sqlite3.Connection) -> int:
    """Return the sequence of the oldest purge that is kept; the next one's when there is none."""
    row = db.execute("SELECT min(sequence) FROM purges").fetchone()
    return last_sequence(db, "purges") + 1 if row[0] is None else int(row[0])


def set_status(db: sqlite3.Connection, location: str, status: bytes) -> None:
    """Put a location's status on the board. It is about now: after a power cut nobody asks for it."""
    with _transaction(db, is_synced=False):
        db.execute("DELETE FROM statuses WHERE location = ?", (location,))
        db.execute("INSERT INTO statuses (location, status) VALUES (?, ?)", (location, status))


def read_statuses(db: sqlite3.Connection, after: int) -> list[tuple[int, str, bytes]]:
    """Return (number, location, status) of the statuses that were put after the number `after`, in order."""
    rows = db.execute("SELECT number, location, status FROM statuses WHERE number > ? ORDER BY number", (after,))
    return [_status(row) for row in rows.fetchall()]


def _status(row: object) -> tuple[int, str, bytes]:
    match row:
        case (int(number), str(location), bytes(status)):
            return number, location, status
        case _:
            raise DamagedError("a status is of another kind")
