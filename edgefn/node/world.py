"""The clock, the dice and the ids: what everything below is told instead of asking."""

import os
import time
from binascii import b2a_base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

monotonic = time.monotonic
wall = time.time
thread_cpu = time.thread_time

_ahead = time.time() - time.monotonic()


def steady() -> float:
    """Return seconds since the epoch that run on evenly, whatever is done to the clock meanwhile.

    What is stored ages by this: the time held must be monotonic (RFC 9111 section 4.2.3).
    """
    return _ahead + time.monotonic()


_ID_BYTES = 40
_IDS_AT_ONCE = 128
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _draws() -> Iterator[bytes]:
    """Yield what ids are made of. Drawn for many at once: a system call for each would take longer than all else."""
    while True:
        drawn = os.urandom(_ID_BYTES * _IDS_AT_ONCE)
        for start in range(0, len(drawn), _ID_BYTES):
            yield drawn[start : start + _ID_BYTES]


_drawn = _draws()
_VARIANTS = "89ab"


def request_id() -> str:
    """Return a fresh X-Amz-Cf-Id: 56 characters of URL-safe base64 that end in ==. For one thread only."""
    return b2a_base64(next(_drawn), newline=False).translate(_URL_SAFE).decode("ascii")


def invocation_id() -> str:
    """Return a fresh UUID (RFC 9562 version 4), as AWS names an invocation. For one thread only."""
    digits = next(_drawn)[:16].hex()
    variant = _VARIANTS[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def random(size: int) -> bytes:
    """Return that many random bytes. For one thread only."""
    return next(_drawn)[:size] if size <= _ID_BYTES else os.urandom(size)


def token() -> str:
    """Return a fresh secret of 256 bits, in hex."""
    return os.urandom(32).hex()


def jitter() -> float:
    """Return a number from 0 to below 1, at random."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def pseudonym() -> str:
    """Return what Via calls this process: 32 hex digits."""
    return os.urandom(16).hex()


def timestamp() -> str:
    """Return the time in UTC as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(at: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(seconds: float) -> str:
    """Return the time so many seconds ago, as `timestamp` returns it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version() -> str:
    """Return the version of edgefn, "" when it is not installed."""
    try:
        return metadata.version("edgefn")
    except metadata.PackageNotFoundError:
        return ""


def cache_home() -> Path:
    """Return the directory for what this user's commands can make again (XDG base directories); it need not exist."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".cache") / "edgefn"
