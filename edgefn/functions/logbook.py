"""What functions log, kept on disk for a while: written by every process of a location, read by whoever asks.

Each process has a file of its own, and one that was full before it; both are JSON, a line each. So writers need no lock
between them, and what there is at most is known.
"""

import fcntl
import heapq
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

MOST_BYTES: Final = 16 * 1024**2
"""Of one file. There are two for each process."""

_MOST_PROCESSES: Final = 1_024
_MOST_AT_ONCE: Final = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line. `at` is ISO 8601 in UTC, `invocation` a UUID, `request` the viewer's X-Amz-Cf-Id or ""."""

    at: str
    location: str
    function: str
    version: str
    invocation: str
    request: str
    text: str

    def line(self) -> str:
        """Return it as it stands in a file."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are wanted. `function` is a name or name:version, `request` either id; "" is all of them.

    `since` is a time as `LogEntry.at` has it: lines before that are not wanted.
    """

    function: str = ""
    request: str = ""
    since: str = ""

    def wants(self, entry: LogEntry) -> bool:
        """Return whether a line is one of them."""
        if entry.at < self.since:
            return False
        if self.function not in {"", entry.function, f"{entry.function}:{entry.version}"}:
            return False
        return self.request in {"", entry.invocation, entry.request}


def log_directory(data_dir: str) -> Path:
    """Return where the processes of a location keep their files."""
    return Path(data_dir) / "logs"


class LogFile:
    """The file of this process in `directory`: a stream that begins a new file when the old one is full."""

    def __init__(self, directory: Path, most: int = MOST_BYTES) -> None:
        """Open it. Raises `OSError`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._most = most
        self._path, self._file = _first_free(directory)

    def write(self, text: str) -> object:
        """Write whole lines. Raises `OSError`."""
        data = text.encode("utf-8", "replace")
        if self._file.tell() + len(data) > self._most:
            self._begin_anew()
        return self._file.write(data)

    def flush(self) -> None:
        """Let readers see what was written. Raises `OSError`."""
        self._file.flush()

    def close(self) -> None:
        """Let another process have the file."""
        self._file.close()

    def _begin_anew(self) -> None:
        self._file.flush()
        replacement = _locked(self._path.with_suffix(".begun"))
        if replacement is None:
            return  # Nobody else takes this name: it can't be. Going on in the old file loses nothing.
        self._path.rename(_full(self._path))
        self._path.with_suffix(".begun").rename(self._path)
        self._file.close()
        self._file = replacement


def _first_free(directory: Path) -> tuple[Path, BinaryIO]:
    for number in range(_MOST_PROCESSES):
        path = directory / f"functions-{number}.ndjson"
        file = _locked(path)
        if file is not None:
            return path, file
    raise OSError(f"{directory}: more than {_MOST_PROCESSES} processes write logs here")


def _locked(path: Path) -> BinaryIO | None:
    """Return the file to add to, None when another process has it."""
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _full(path: Path) -> Path:
    return path.with_suffix(".full.ndjson")


def tail(directory: Path, query: LogQuery, most: int) -> list[LogEntry]:
    """Return the newest lines that are wanted, at most `most`, the oldest one first. Raises `OSError`."""
    current = [path for path in sorted(directory.glob("functions-*.ndjson")) if not path.name.endswith(".full.ndjson")]
    processes = [deque(_wanted_in(path, query), maxlen=most) for path in current]
    in_order = heapq.merge(*processes, key=lambda entry: entry.at)
    return list(deque(in_order, maxlen=most))


def _wanted_in(path: Path, query: LogQuery) -> Iterator[LogEntry]:
    for file in (_full(path), path):
        try:
            with file.open("rb") as opened:
                yield from (entry for line in opened if (entry := read_entry(line)) and query.wants(entry))
        except FileNotFoundError:
            continue


def read_entry(line: bytes) -> LogEntry | None:
    """Return what a line says; None for a torn one."""
    try:
        told: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict):
        return None
    parts = [told.get(name) for name in LogEntry.__slots__]
    return LogEntry(*map(str, parts)) if all(isinstance(part, str) for part in parts) else None


class LogFollower:
    """Reads what is added to the files of a directory from now on, those of processes that come later included."""

    def __init__(self, directory: Path, query: LogQuery) -> None:
        self._directory = directory
        self._query = query
        self._open: dict[Path, BinaryIO] = {}
        self._torn: dict[Path, bytes] = {}
        for path in self._paths():
            self._take(path).seek(0, os.SEEK_END)

    def poll(self) -> list[LogEntry]:
        """Return what was added since the last time, in order. Raises `OSError`."""
        added: list[LogEntry] = []
        for path in self._paths():
            file = self._open.get(path) or self._take(path)
            added += self._added(path, file)
            if os.fstat(file.fileno()).st_ino != path.stat().st_ino:  # it was full: what came after stands in a new one
                added += self._added(path, file)
                file.close()
                added += self._added(path, self._take(path))
        return sorted(added, key=lambda entry: entry.at)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _paths(self) -> list[Path]:
        found = sorted(self._directory.glob("functions-*.ndjson"))
        return [path for path in found if not path.name.endswith(".full.ndjson")]

    def _take(self, path: Path) -> BinaryIO:
        self._open[path] = path.open("rb")
        return self._open[path]

    def _added(self, path: Path, file: BinaryIO) -> list[LogEntry]:
        data = self._torn.pop(path, b"") + file.read(_MOST_AT_ONCE)
        *lines, self._torn[path] = data.split(b"\n")
        return [entry for line in lines if (entry := read_entry(line)) and self._query.wants(entry)]
