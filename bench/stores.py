"""Which engine should the disk store stand on? LMDB, SQLite in WAL mode, or our own log with an index in memory.

    python -m bench.stores [--entries 100000] [--json FILE]

Each engine keeps the same entries: a key of some 60 bytes, a record of 1.6 KB (a head and a small body), a tag that
1 % of them share. It runs in processes of its own, on a new directory of the disk that `--where` names, with what a
cache needs and no more: kill -9 must not hurt it, a power cut may lose the latest entries. `lmdb` is measured only
where it is installed; edgefn does not need it. `bench.disk_store` measures what was built on the one that was chosen.

Rates are per second of wall time of the one process (or the two) at work; times are milliseconds.
"""

import argparse
import contextlib
import importlib.util
import json
import mmap
import multiprocessing
import os
import platform
import random
import resource
import sqlite3
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Protocol

_HEAD = b"h" * 600
BODY = b"b" * 1_000
_RECORD = _HEAD + BODY
_TAG_EVERY = 100
SECTIONS = 100
PROBES = 20_000
_ALONE = 5_000
_BATCH = 200

Entry = tuple[str, bytes, str]


class Engine(Protocol):
    """An index of records by key and by tag, on disk."""

    def put(self, entries: Sequence[Entry]) -> None:
        """Add them all in one transaction."""

    def get(self, key: str) -> bytes | None:
        """Return the record."""

    def purge_prefix(self, prefix: str) -> int:
        """Remove all that begin so; return how many."""

    def purge_tag(self, tag: str) -> int:
        """Remove all with the tag; return how many."""


def entry(number: int) -> Entry:
    key = f"shop.example\nhttps\n/section-{number % SECTIONS:03}/product/{number:09}?size=large"
    return key, _RECORD, f"tag-{number % _TAG_EVERY:04}"


class Sqlite:
    """SQLite, write-ahead log, synchronised at checkpoints only."""

    def __init__(self, directory: Path) -> None:
        self._db = sqlite3.connect(directory / "index.db", isolation_level=None, timeout=10, cached_statements=64)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA secure_delete=OFF")
        self._db.execute("PRAGMA cache_size=-16000")
        self._db.execute("PRAGMA mmap_size=0")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, record BLOB)"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS tags (tag TEXT, id INTEGER, PRIMARY KEY (tag, id)) WITHOUT ROWID")

    def put(self, entries: Sequence[Entry]) -> None:
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        for key, record, tag in entries:
            number = run("REPLACE INTO entries (key, record) VALUES (?, ?)", (key, record)).lastrowid
            run("INSERT INTO tags VALUES (?, ?)", (tag, number))
        run("COMMIT")

    def get(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT record FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def purge_prefix(self, prefix: str) -> int:
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._in_steps("SELECT id FROM entries WHERE key >= ? AND key < ? LIMIT 1000", (prefix, end))

    def purge_tag(self, tag: str) -> int:
        return self._in_steps("SELECT id FROM tags WHERE tag = ? LIMIT 1000", (tag,), tag)

    def _in_steps(self, select: str, values: tuple[str, ...], tag: str | None = None) -> int:
        count = 0
        while True:
            self._db.execute("BEGIN IMMEDIATE")
            rows = self._db.execute(select, values).fetchall()
            self._db.executemany("DELETE FROM entries WHERE id = ?", rows)
            if tag is not None:
                self._db.executemany("DELETE FROM tags WHERE tag = ? AND id = ?", [(tag, row[0]) for row in rows])
            self._db.execute("COMMIT")
            count += len(rows)
            if len(rows) < 1000:
                return count


class Lmdb:
    """LMDB, not synchronised."""

    def __init__(self, directory: Path) -> None:
        import lmdb  # type: ignore[import-not-found]  # no dependency: for whoever measures it

        self._env = lmdb.open(
            str(directory / "lmdb"), map_size=32 * 2**30, max_dbs=2, sync=False, metasync=False, readahead=False
        )
        self._entries = self._env.open_db(b"entries")
        self._tags = self._env.open_db(b"tags", dupsort=True)

    def put(self, entries: Sequence[Entry]) -> None:
        with self._env.begin(write=True) as transaction:
            for key, record, tag in entries:
                transaction.put(key.encode(), record, db=self._entries)
                transaction.put(tag.encode(), key.encode(), db=self._tags)

    def get(self, key: str) -> bytes | None:
        with self._env.begin() as transaction:
            found = transaction.get(key.encode(), db=self._entries)
            return None if found is None else bytes(found)

    def purge_prefix(self, prefix: str) -> int:
        count = 0
        begin = prefix.encode()
        with self._env.begin(write=True) as transaction, transaction.cursor(db=self._entries) as cursor:
            found = cursor.set_range(begin)
            while found and bytes(cursor.key()).startswith(begin):
                found = cursor.delete()
                count += 1
        return count

    def purge_tag(self, tag: str) -> int:
        with self._env.begin(write=True) as transaction, transaction.cursor(db=self._tags) as cursor:
            keys = [bytes(key) for key in cursor.iternext_dup()] if cursor.set_key(tag.encode()) else []
            for key in keys:
                transaction.delete(key, db=self._entries)
            transaction.delete(tag.encode(), db=self._tags)
        return len(keys)


class Log:
    """One file that is only appended to, and a dict in each process that follows it."""

    _FRAME = struct.Struct("<IIH")

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._index: dict[str, tuple[int, int]] = {}
        self._tags: dict[str, set[str]] = {}
        self._seen = 0
        self._follow()

    def _follow(self) -> None:
        size = os.fstat(self._file).st_size
        if size == self._seen:
            return
        with mmap.mmap(self._file, size, prot=mmap.PROT_READ) as log:
            at = self._seen
            while at + self._FRAME.size <= size:
                key_size, record_size, tag_size = self._FRAME.unpack_from(log, at)
                begin = at + self._FRAME.size
                key = log[begin : begin + key_size].decode()
                tag = log[begin + key_size : begin + key_size + tag_size].decode()
                if record_size:
                    self._index[key] = begin + key_size + tag_size, record_size
                    self._tags.setdefault(tag, set()).add(key)
                else:
                    self._index.pop(key, None)
                at = begin + key_size + tag_size + record_size
            self._seen = at

    def put(self, entries: Sequence[Entry]) -> None:
        frames = []
        for key, record, tag in entries:
            raw_key, raw_tag = key.encode(), tag.encode()
            frames += [self._FRAME.pack(len(raw_key), len(record), len(raw_tag)), raw_key, raw_tag, record]
        os.write(self._file, b"".join(frames))

    def get(self, key: str) -> bytes | None:
        self._follow()
        found = self._index.get(key)
        return None if found is None else os.pread(self._file, found[1], found[0])

    def purge_prefix(self, prefix: str) -> int:
        self._follow()
        return self._drop([key for key in self._index if key.startswith(prefix)])

    def purge_tag(self, tag: str) -> int:
        self._follow()
        return self._drop([key for key in self._tags.pop(tag, ()) if key in self._index])

    def _drop(self, keys: list[str]) -> int:
        self.put([(key, b"", "") for key in keys])
        self._follow()
        return len(keys)


ENGINES: dict[str, Callable[[Path], Engine]] = {"sqlite": Sqlite, "lmdb": Lmdb, "log": Log}
Figures = dict[str, float]


def clock() -> float:
    return time.perf_counter()


def batches(numbers: Iterable[int]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for number in numbers:
        batch.append(entry(number))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def fill(name: str, directory: Path, entries: int) -> Figures:
    engine = ENGINES[name](directory)
    order = list(range(entries))
    random.Random(1).shuffle(order)
    began = clock()
    slowest = 0.0
    for batch in batches(order):
        at = clock()
        engine.put(batch)
        slowest = max(slowest, clock() - at)
    return {"put in batches /s": entries / (clock() - began), "slowest batch ms": slowest * 1e3}


def open_and_get(name: str, directory: Path, entries: int) -> Figures:
    began = clock()
    engine = ENGINES[name](directory)
    engine.get(entry(entries // 2)[0])
    ready = clock() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ready after ms": ready * 1e3, "memory MB": memory, **gets(engine, entries, 2)}


def gets(engine: Engine, entries: int, seed: int) -> Figures:
    keys = [entry(random.Random(seed + number).randrange(entries))[0] for number in range(PROBES)]
    took = []
    for key in keys:
        at = clock()
        assert engine.get(key) is not None
        took.append(clock() - at)
    return {"get /s": PROBES / sum(took), "get p99 us": sorted(took)[int(PROBES * 0.99)] * 1e6}


def puts(engine: Engine, entries: int, seed: int) -> Figures:
    took = []
    for number in range(_ALONE):
        at = clock()
        engine.put([entry(entries * (1 + seed) + number)])
        took.append(clock() - at)
    return {"put one by one /s": _ALONE / sum(took), "put p99 us": sorted(took)[int(_ALONE * 0.99)] * 1e6}


def put_alone(name: str, directory: Path, entries: int, seed: int) -> Figures:
    return puts(ENGINES[name](directory), entries, seed)


def get_alone(name: str, directory: Path, entries: int, seed: int) -> Figures:
    return gets(ENGINES[name](directory), entries, seed)


def purges(name: str, directory: Path, entries: int) -> Figures:
    engine = ENGINES[name](directory)
    began = clock()
    by_prefix = engine.purge_prefix("shop.example\nhttps\n/section-007/")
    then = clock()
    by_tag = engine.purge_tag("tag-0009")
    end = clock()
    assert min(by_prefix, by_tag) >= entries // SECTIONS
    return {"purge 1 % by prefix ms": (then - began) * 1e3, "purge 1 % by tag ms": (end - then) * 1e3}


Job = Callable[..., Figures]  # type: ignore[explicit-any]  # each is called with the arguments beside it


def _run(results: "Queue[Figures]", job: Job, arguments: tuple[object, ...]) -> None:
    results.put(job(*arguments))


def apart(*jobs: tuple[Job, tuple[object, ...]]) -> list[Figures]:
    """Run each job in a process of its own, at the same time."""
    context = multiprocessing.get_context("spawn")
    queues: list[Queue[Figures]] = [context.Queue() for _ in jobs]
    processes = [
        context.Process(target=_run, args=(queue, job, arguments))
        for queue, (job, arguments) in zip(queues, jobs, strict=True)
    ]
    for process in processes:
        process.start()
    results = [queue.get(timeout=1_800) for queue in queues]
    for process in processes:
        process.join(60)
    return results


def measured(name: str, where: Path, entries: int) -> Figures:
    with tempfile.TemporaryDirectory(dir=where, prefix=f"edgefn-{name}-") as scratch:
        directory = Path(scratch)
        common = (name, directory, entries)
        figures = apart((fill, common))[0]
        figures |= apart((open_and_get, common))[0]
        figures |= apart((put_alone, (*common, 1)))[0]
        two = apart((put_alone, (*common, 2)), (put_alone, (*common, 3)))
        figures["two put /s"] = sum(each["put one by one /s"] for each in two)
        figures["two put p99 us"] = max(each["put p99 us"] for each in two)
        two = apart((get_alone, (*common, 2)), (put_alone, (*common, 4)))
        figures["get beside put /s"] = two[0]["get /s"]
        figures["get beside put p99 us"] = two[0]["get p99 us"]
        figures |= apart((purges, common))[0]
        size = sum(file.stat().st_blocks * 512 for file in directory.rglob("*") if file.is_file())
        figures["disk MB"] = size / 2**20
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--where", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = [name for name in ENGINES if name != "lmdb" or importlib.util.find_spec("lmdb")]
    found = {name: measured(name, options.where, options.entries) for name in names if options.only in name}
    print(f"{options.entries} entries, {platform.machine()}, Python {platform.python_version()}")
    for figure in next(iter(found.values()), {}):
        print(f"{figure:26}", *(f"{name} {figures[figure]:>12,.0f}  " for name, figures in found.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
