"""Durations and sizes, as people write them."""

import re
from fractions import Fraction
from typing import Final

_SECONDS: Final = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
}
_BYTES: Final = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}

_AMOUNT = r"(\d{1,15}(?:\.\d{1,9})?)"
_DURATION_PART = re.compile(rf"{_AMOUNT}(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+", re.ASCII)
_SIZE = re.compile(rf"{_AMOUNT} ?(?:([KMGT])i?)?B", re.ASCII | re.IGNORECASE)

DURATION_PATTERN: Final = r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$"
SIZE_PATTERN: Final = r"^(0|[0-9]+(\.[0-9]+)? ?([KMGTkmgt][iI]?)?[Bb])$"


def parse_duration(text: str) -> float | None:
    """Return the seconds in `250ms`, `5s`, `1h30m` or `0`; None when it is no duration."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        return None
    return float(sum(Fraction(amount) * _SECONDS[unit] for amount, unit in _DURATION_PART.findall(text)))


def parse_size(text: str) -> int | None:
    """Return the bytes in `512KB`, `1.5GB` or `0` (1 KB is 1024 bytes); None when it is no size, or no whole one."""
    if text == "0":
        return 0
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    size = Fraction(match[1]) * _BYTES[f"{match[2] or ''}B".upper()]
    return int(size) if size.denominator == 1 else None


def format_duration(seconds: float) -> str:
    """Return `seconds` in the largest unit in which they are whole: 90.0 is `90s`, 86400.0 is `1d`."""
    exact = Fraction(seconds).limit_denominator(1_000_000)
    if exact == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if (exact / _SECONDS[unit]).denominator == 1:
            return f"{exact / _SECONDS[unit]}{unit}"
    return f"{float(exact * 1000):.3f}".rstrip("0").rstrip(".") + "ms"


def format_size(size: int) -> str:
    """Return `size` in the largest unit in which it is whole: 1536 is `1536B`, 2097152 is `2MB`."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"
