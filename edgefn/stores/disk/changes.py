"""What is done to the index within one transaction."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgefn.rules.purges import ByTag, Everything, Purge, hits, place_of, read, written
from edgefn.stores.base import NOTHING, Found, Order, Purged, Stored
from edgefn.stores.disk.base import Outcome
from edgefn.stores.disk.finding import find, unfinished
from edgefn.stores.disk.heads import packed
from edgefn.stores.disk.seals import block_seal, head_seal, sealed_size

KEPT_ORDERS = 4_096
"""So many purges are remembered; whoever began to fetch before them is not believed."""
_VARIANTS = 32
"""The most variants of one key."""
_STEP = 500  # entries that one change goes through
_DISK_PAGE = 4_096
# What SQLite spends, in bytes: measured, and held by a test.
_PER_ENTRY = 120
_PER_SMALL_BODY = 100
_UNUSED = 8  # of a page, an eighth
_PER_TAG = 30
# Places as bytes: where a bit has flipped they may be no text, and still must be passed in order.
_ROW = "number, epoch, size, in_file, used, tags, CAST(place AS BLOB), CAST(variant AS BLOB)"


class Row(NamedTuple):
    """What must be known of an entry to drop it."""

    number: int
    epoch: int
    size: int
    in_file: int
    used: int
    tags: str
    place: bytes
    variant: bytes


@dataclass(frozen=True, slots=True)
class New:
    """An entry to be added. `data` is a small body; a larger one lies in the file `number` already."""

    number: int | None
    key: str
    stored: Stored
    length: int
    since: int
    data: bytes | None


class Changes:
    """The changes of one transaction, which is for the caller to begin and to end.

    `files` are the entries whose files are to go once it is committed, `epoch` the purge to announce then, 0 for none,
    `places` those where there is something new.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.files: list[int] = []
        self.epoch = 0
        self.places: list[bytes] = []
        self._db = db
        self._counts: dict[str, float] = dict(db.execute("SELECT name, value FROM counts").fetchall())
        self._before = dict(self._counts)

    def settle(self) -> None:
        """Write down the counts that have changed: the last thing before the end."""
        changed = [(value, name) for name, value in self._counts.items() if value != self._before[name]]
        self._db.executemany("UPDATE counts SET value = ? WHERE name = ?", changed)

    @property
    def size(self) -> int:
        """Return about how many bytes of disk all entries take, the dead ones too."""
        return int(self._counts["size"])

    @property
    def dead(self) -> int:
        """Return how many entries are still there that were purged with everything else."""
        return int(self._counts["dead entries"])

    def numbers(self, count: int) -> range:
        """Return numbers for so many entries that none had before."""
        first = int(self._counts["next"])
        self._counts["next"] += count
        return range(first, first + count)

    def add(self, new: New) -> Outcome:
        """Add an entry in place of its like, unless that is newer, or it was purged since its fetch began."""
        place, tags, variant = place_of(new.key), new.stored.tags, _variant(new.stored)
        if self._is_purged(place, tags, new.since):
            return Outcome.PURGED
        like = self._rows("place = ? AND variant = ?", place, variant)
        if like and self._is_superseded(new):
            return Outcome.SUPERSEDED
        self.drop(like)
        self.drop(self._rows("place = ? ORDER BY number DESC LIMIT -1 OFFSET ?", place, _VARIANTS - 1))
        number = self.numbers(1)[0] if new.number is None else new.number
        if new.data is not None:
            seal = block_seal(number, 0, new.data)
            self._db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?)", (number, seal, new.data))
        self._insert(new, number, place, variant)
        return Outcome.STORED

    def _is_superseded(self, new: New) -> bool:
        found = (each.stored for each in find(self._db, new.key).found)
        return any(
            held.vary == new.stored.vary and held.outweighs(new.stored, new.stored.received_at) for held in found
        )

    def _insert(self, new: New, number: int, place: str, variant: str) -> None:
        stored, in_file = new.stored, new.data is None
        head = packed(stored, new.length)
        size = _cost(place, variant, head, new.length, stored.tags, in_file=in_file)
        seal = head_seal(number, new.key, head)
        self._db.execute(
            "INSERT INTO entries (number, place, variant, epoch, size, in_file, tags, seal, head)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, place, variant, new.since, size, in_file, json.dumps(stored.tags), seal, head),
        )
        self._db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(tag, number) for tag in stored.tags])
        self._counts["size"] += size
        self._counts["entries"] += 1
        self.places.append(place.encode())

    def renew(self, found: Found, stored: Stored, since: int) -> bool:
        """Put another head before the same body, unless the entry is gone or was purged since."""
        place, variant = place_of(found.key), _variant(stored)
        rows = self._rows("number = ? AND place = ?", found.number, place)
        if not rows or self._is_dead(rows[0]):
            return False
        tags = (*stored.tags, *_tags(rows[0]))
        if self._is_purged(place, tags, since) or self._is_being_purged(place, tags, rows[0].epoch):
            return False
        self.drop(self._rows("place = ? AND variant = ? AND number != ?", place, variant, found.number))
        self._forget(rows)
        body = None if rows[0].in_file else b""
        new = New(found.number, found.key, stored, found.length, since, body)
        self._insert(new, found.number, place, variant)
        self.touch([found.number])
        return True

    def drop(self, rows: Sequence[Row]) -> Purged:
        """Remove entries with their bodies; return what they were."""
        self._forget(rows)
        self._db.executemany("DELETE FROM bodies WHERE number = ?", [(r.number,) for r in rows if not r.in_file])
        self.files += [row.number for row in rows if row.in_file]
        return Purged(len(rows), sum(row.size for row in rows))

    def drop_number(self, number: int) -> None:
        """Remove one entry, if it is there."""
        self.drop(self._rows("number = ?", number))

    def touch(self, numbers: Iterable[int]) -> None:
        """Note that these were used."""
        self._db.executemany("UPDATE entries SET used = 1 WHERE number = ? AND used = 0", [(n,) for n in numbers])

    def order(self, epoch: int, purge: Purge, at: float, *, soft: bool) -> tuple[Order, Purged]:
        """Write down a purge, by which whatever was fetched before is kept out; return what it hits at once.

        Everything is hit at once, and its entries, if they are to go, are dead from now on. All else is hit in steps.
        """
        self._db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", (epoch, written(purge), soft, at, 0))
        self.epoch = epoch
        self._forget_orders(epoch - KEPT_ORDERS)
        hit = NOTHING
        if isinstance(purge, Everything):
            counts = self._counts
            hit = Purged(int(counts["entries"] - counts["dead entries"]), int(counts["size"] - counts["dead size"]))
            if soft:
                counts["soft floor"], counts["softened at"] = epoch, at
            else:
                counts["hard floor"] = epoch
                counts["dead entries"], counts["dead size"] = counts["entries"], counts["size"]
            self.finished(epoch)
        return Order(epoch, purge, soft, at), hit

    def _forget_orders(self, up_to: int) -> None:
        if up_to > self._counts["forgotten"]:
            self._db.execute("DELETE FROM orders WHERE epoch <= ? AND done", (up_to,))
            self._counts["forgotten"] = up_to

    def finished(self, epoch: int) -> None:
        """Note that a purge has hit all it had to."""
        self._db.execute("UPDATE orders SET done = 1 WHERE epoch = ?", (epoch,))

    def unfinished(self) -> list[Order]:
        """Return the purges that somebody began and did not end."""
        return unfinished(self._db)

    def in_range(self, begin: tuple[bytes, bytes], end: bytes) -> list[Row]:
        """Return the next entries behind a place and variant, and before a place."""
        return self._rows(
            "(place, variant) > (CAST(? AS TEXT), CAST(? AS TEXT)) AND place < CAST(? AS TEXT)"
            " ORDER BY place, variant LIMIT ?",
            *begin,
            end,
            _STEP,
        )

    def tagged(self, tag: str, behind: int) -> list[Row]:
        """Return the next entries with a tag behind a number."""
        select = (
            f"SELECT {_ROW} FROM tags JOIN entries USING (number) WHERE tag = ? AND number > ? ORDER BY number LIMIT ?"  # noqa: S608  # names only
        )
        return [Row._make(row) for row in self._db.execute(select, (tag, behind, _STEP))]

    def hit(self, order: Order, rows: Sequence[Row]) -> Purged:
        """Do to those of the rows that it hits what the order says; return what they were."""
        about = [
            row for row in rows if row.epoch < order.epoch and not self._is_dead(row) and _is_hit(order.purge, row)
        ]
        if not order.is_soft:
            return self.drop(about)
        self._db.executemany(
            "UPDATE entries SET softened = ? WHERE number = ? AND softened IS NULL",
            [(order.at, row.number) for row in about],
        )
        return Purged(len(about), sum(row.size for row in about))

    def clear(self, behind: int) -> int | None:
        """Remove some of the dead ones behind a number; return how far it came, None at the end."""
        rows = self._rows("number > ? ORDER BY number LIMIT ?", behind, _STEP)
        self.drop([row for row in rows if self._is_dead(row)])
        return rows[-1].number if rows and self.dead else None

    def evict(self, capacity: int) -> None:
        """Remove some entries until all take at most `capacity` bytes: the oldest ones not used since last looked at.

        The hand goes from the oldest to the one that was the youngest when its round began, and then begins again.
        """
        if self.size <= capacity:
            return
        hand, end = int(self._counts["hand"]), int(self._counts["round end"])
        rows = self._rows("number > ? AND number <= ? ORDER BY number LIMIT ?", hand, end, _STEP)
        if not rows:
            self._begin_round()
            return
        for row in rows:
            if self.size <= capacity:
                break
            if self._is_dead(row) or not row.used:
                self.drop([row])
            else:
                self._db.execute("UPDATE entries SET used = 0 WHERE number = ?", (row.number,))
            self._counts["hand"] = row.number

    def _begin_round(self) -> None:
        if not self._rows("number > 0 LIMIT 1"):  # whatever was counted, there is nothing
            self._counts |= dict.fromkeys(("entries", "size", "dead entries", "dead size"), 0)
        self._counts["hand"], self._counts["round end"] = 0, self._counts["next"]

    def _rows(self, where: str, *values: bytes | str | int) -> list[Row]:
        select = f"SELECT {_ROW} FROM entries WHERE {where}"  # noqa: S608  # every `where` is a literal of this module
        return [Row._make(row) for row in self._db.execute(select, values)]

    def _forget(self, rows: Sequence[Row]) -> None:
        """Remove entries, but not their bodies."""
        self._db.executemany("DELETE FROM entries WHERE number = ?", [(row.number,) for row in rows])
        tags = [(tag, row.number) for row in rows for tag in _tags(row)]
        self._db.executemany("DELETE FROM tags WHERE tag = ? AND number = ?", tags)
        for row in rows:
            kinds = ("", "dead ") if self._is_dead(row) else ("",)
            for kind in kinds:
                self._counts[f"{kind}entries"] -= 1
                self._counts[f"{kind}size"] -= row.size

    def _is_dead(self, row: Row) -> bool:
        return row.epoch < self._counts["hard floor"]

    def _is_purged(self, place: str, tags: tuple[str, ...], since: int) -> bool:
        if since < self._counts["forgotten"]:
            return True
        orders = self._db.execute("SELECT purge FROM orders WHERE epoch > ?", (since,))
        return any(hits(read(text), place, tags) for (text,) in orders)

    def _is_being_purged(self, place: str, tags: tuple[str, ...], epoch: int) -> bool:
        """Return whether a purge is about an entry from `epoch`, and has not come to it yet."""
        return any(order.epoch > epoch and hits(order.purge, place, tags) for order in unfinished(self._db))


def _is_hit(purge: Purge, row: Row) -> bool:
    """Return whether the purge is about the entry. Those of a tag were found by the tag."""
    return isinstance(purge, ByTag) or hits(purge, row.place.decode("utf-8", "replace"), ())


def _tags(row: Row) -> tuple[str, ...]:
    """Return the tags; none where a bit has flipped, so that the entry can still be dropped."""
    try:
        tags: object = json.loads(row.tags)
    except ValueError:
        return ()
    return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()


def _variant(stored: Stored) -> str:
    return json.dumps(stored.vary)


def _cost(place: str, variant: str, head: bytes, length: int, tags: Sequence[str], *, in_file: bool) -> int:
    """Return about how many bytes of disk an entry takes, on the safe side."""
    index = _PER_ENTRY + len(head) + 2 * (len(place) + len(variant)) + sum(_PER_TAG + 2 * len(tag) for tag in tags)
    if in_file:
        return index + (sealed_size(length) // _DISK_PAGE + 1) * _DISK_PAGE
    return index + _PER_SMALL_BODY + length + length // _UNUSED
