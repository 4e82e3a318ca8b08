"""Looking things up in the index: one thread, one connection, no lock."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgefn.rules.purges import TOP, hits, place_of, read
from edgefn.stores.base import Found, Order, Stored
from edgefn.stores.disk.base import GoneError, LostError
from edgefn.stores.disk.heads import unpacked
from edgefn.stores.disk.schema import SMALL
from edgefn.stores.disk.seals import block_seal, head_seal

_MOST_ALONG = 65_536  # bytes of bodies that come along with the heads
_FIND = """
SELECT number, epoch, CAST(head AS BLOB), CAST(seal AS BLOB),
    CASE WHEN softened IS NULL AND epoch < (SELECT value FROM counts WHERE name = 'soft floor')
    THEN (SELECT value FROM counts WHERE name = 'softened at') ELSE softened END
FROM entries WHERE place = ? AND epoch >= (SELECT value FROM counts WHERE name = 'hard floor') ORDER BY number DESC
"""
_BODY = "SELECT CAST(seal AS BLOB), CAST(data AS BLOB) FROM bodies WHERE number = ?"
_UNFINISHED = "SELECT epoch, purge, soft, at FROM orders WHERE NOT done ORDER BY epoch"
_ORDERS = "SELECT epoch, purge, soft, at FROM orders WHERE epoch > ? ORDER BY epoch"
_FORGOTTEN = "SELECT value FROM counts WHERE name = 'forgotten'"
_FILES = "SELECT number FROM entries WHERE in_file AND number IN (SELECT value FROM json_each(?))"
_PLACES = "SELECT number, CAST(place AS BLOB) FROM entries WHERE number > ? ORDER BY number LIMIT ?"
_NEXT_PLACE = "SELECT CAST(place AS BLOB) FROM entries WHERE place > CAST(? AS TEXT) ORDER BY place LIMIT 1"


@dataclass(frozen=True, slots=True)
class Finds:
    """What was found under a key, newest first, and the numbers of entries that are broken."""

    found: Sequence[Found]
    broken: Sequence[int]


def find_at_once(db: sqlite3.Connection, key: str) -> Finds:
    """Return the same as `find`, all of it as it was at one moment: else whoever drops an entry meanwhile breaks it."""
    db.execute("BEGIN")
    try:
        return find(db, key)
    finally:
        db.rollback()


def find(db: sqlite3.Connection, key: str) -> Finds:
    """Return the variants of `key`. Small bodies come along as far as they are not too many."""
    found: list[Found] = []
    broken: list[int] = []
    room, place = _MOST_ALONG, place_of(key)
    orders = unfinished(db)  # before the entries: what one of them has hit by then is not found any more
    for number, epoch, head, seal, softened in db.execute(_FIND, (place,)).fetchall():
        if head_seal(number, key, head) != seal:
            broken.append(number)
            continue
        stored, length = unpacked(head)
        left = _left_by(orders, place, epoch, stored if softened is None else stored.softened(softened))
        if left is None:
            continue
        entry = Found(key, left, number, length)
        if length <= min(SMALL, room):
            try:
                entry = replace(entry, data=small_body(db, entry))
            except LostError:
                broken.append(number)
                continue
            room -= length
        found.append(entry)
    return Finds(found, broken)


def unfinished(db: sqlite3.Connection) -> list[Order]:
    """Return the purges that have not hit yet all that they have to."""
    return [Order(number, read(text), bool(soft), at) for number, text, soft, at in db.execute(_UNFINISHED)]


def _left_by(orders: Sequence[Order], place: str, epoch: int, stored: Stored) -> Stored | None:
    """Return what unfinished purges leave of an entry from `epoch`, though they have not come to it yet."""
    for order in orders:
        if epoch < order.epoch and hits(order.purge, place, stored.tags):
            if not order.is_soft:
                return None
            stored = stored.softened(order.at)
    return stored


def small_body(db: sqlite3.Connection, found: Found) -> bytes:
    """Return the body that lies in the index. Raises `LostError`."""
    row = db.execute(_BODY, (found.number,)).fetchone()
    if row is None:
        raise GoneError("the body is not there any more")
    seal: bytes = row[0]
    data: bytes = row[1]
    if len(data) != found.length or block_seal(found.number, 0, data) != seal:
        raise LostError("the body is not the one that was written")
    return data


def orders_since(db: sqlite3.Connection, epoch: int) -> list[Order] | None:
    """Return the purges after that one; None when some of them are forgotten."""
    rows = db.execute(_ORDERS, (epoch,)).fetchall()
    if db.execute(_FORGOTTEN).fetchone()[0] > epoch:
        return None
    return [Order(number, read(text), bool(soft), at) for number, text, soft, at in rows]


def latest_epoch(db: sqlite3.Connection) -> int:
    """Return the number of the latest purge that is known."""
    latest = db.execute("SELECT max(epoch) FROM orders").fetchone()[0]
    return max(int(latest or 0), int(db.execute(_FORGOTTEN).fetchone()[0]))


def places_behind(db: sqlite3.Connection, number: int, most: int) -> tuple[list[bytes], int | None]:
    """Return the places of the next entries behind a number, and how far they go; None: there are no more."""
    rows = db.execute(_PLACES, (number, most)).fetchall()
    return [place for _, place in rows], rows[-1][0] if rows else None


def authorities(db: sqlite3.Connection) -> list[bytes]:
    """Return what the places there are begin with, two lines each: authority and scheme."""
    found: list[bytes] = []
    behind = b""
    while (row := db.execute(_NEXT_PLACE, (behind,)).fetchone()) is not None:
        lines = bytes(row[0]).split(b"\n", 2)
        found.append(b"".join(line + b"\n" for line in lines[:2]))
        behind = found[-1] + TOP if len(lines) == 3 else bytes(row[0])  # no place, but in the way
    return found


def without_entries(db: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
    """Return those of the numbers of files that no entry has."""
    known = {row[0] for row in db.execute(_FILES, (str(list(numbers)),))}
    return [number for number in numbers if number not in known]
