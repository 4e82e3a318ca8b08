"""What a key-value store holds and may hold (AWS: quotas on CloudFront KeyValueStore). Changes are all or nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_KEY = 512
MAX_VALUE = 1024
MAX_STORE = 5 * 1024**2
MAX_CHANGES = 50
MAX_CHANGED = 3 * 1024**2


@dataclass(frozen=True, slots=True)
class TooMuch:
    """A change that goes beyond a limit. `why` names key and limit."""

    why: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys to put with their values, and keys to delete; sizes count in bytes of UTF-8."""

    puts: Mapping[str, str]
    deletes: Iterable[str] = ()


def changed(pairs: Mapping[str, str], changes: Changes) -> dict[str, str] | TooMuch:
    """Return `pairs` with `changes`, as one update may make them (AWS: UpdateKeys)."""
    deletes = tuple(changes.deletes)
    if len(changes.puts) + len(deletes) > MAX_CHANGES:
        return TooMuch(f"an update may change at most {MAX_CHANGES} keys")
    if sum(map(_size, changes.puts.items())) > MAX_CHANGED:
        return TooMuch(f"an update may be at most {MAX_CHANGED // 1024**2} MB")
    kept = {key: value for key, value in pairs.items() if key not in deletes}
    return within_limits({**kept, **changes.puts})


def within_limits(pairs: Mapping[str, str]) -> dict[str, str] | TooMuch:
    """Return `pairs` if a store may hold them."""
    for key, value in pairs.items():
        if not 1 <= len(key.encode()) <= MAX_KEY:
            return TooMuch(f"the key {key[:40]!r} has {len(key.encode())} bytes: 1 to {MAX_KEY} are allowed")
        if len(value.encode()) > MAX_VALUE:
            return TooMuch(
                f"the value of {key[:40]!r} has {len(value.encode())} bytes: at most {MAX_VALUE} are allowed"
            )
    if total_size(pairs) > MAX_STORE:
        return TooMuch(f"the store would have {total_size(pairs)} bytes: at most {MAX_STORE} are allowed")
    return dict(pairs)


def total_size(pairs: Mapping[str, str]) -> int:
    """Return the bytes of all keys and values."""
    return sum(map(_size, pairs.items()))


def _size(pair: tuple[str, str]) -> int:
    return len(pair[0].encode()) + len(pair[1].encode())
