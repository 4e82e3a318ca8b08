"""HTTP dates in their three formats and in no other (RFC 9110 section 5.6.7)."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_DAY, _LONG_DAY, _MONTH = "|".join(_DAYS), "|".join(_LONG_DAYS), "|".join(_MONTHS)
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_NAMES_IN_ANY_CASE = re.ASCII | re.IGNORECASE  # RFC 9111 section 4.2
_FORMATS = (
    re.compile(rf"(?:{_DAY}), (?P<day>\d\d) (?P<month>{_MONTH}) (?P<year>\d{{4}}) {_TIME} GMT", _NAMES_IN_ANY_CASE),
    re.compile(rf"(?:{_LONG_DAY}), (?P<day>\d\d)-(?P<month>{_MONTH})-(?P<year>\d\d) {_TIME} GMT", _NAMES_IN_ANY_CASE),
    re.compile(rf"(?:{_DAY}) (?P<month>{_MONTH}) (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})", _NAMES_IN_ANY_CASE),
)
_LEAP_SECOND = 60
_IMF_LENGTH = len("Sun, 06 Nov 1994 08:49:37 GMT")


def parse(text: str, now: float) -> float | None:
    """Return the seconds since the epoch, or None when `text` is in none of the three formats.

    `now`, in the same seconds, decides the century of a two-digit year. The name of the day is not held against the
    date. Never raises.
    """
    return _parsed_imf(text) if len(text) == _IMF_LENGTH else _parsed(text, now)


def _parsed(text: str, now: float) -> float | None:
    match = next(filter(None, (form.fullmatch(text) for form in _FORMATS)), None)
    if match is None:
        return None
    month, day, hour, minute, second = (
        _MONTH_NUMBER[match["month"].lower()], *(int(match[part]) for part in ("day", "hour", "minute", "second")),
    )  # fmt: skip
    leap = 1 if second == _LEAP_SECOND else 0  # the calendar here knows none: it is the second after :59
    moment = (month, day, hour, minute, second - leap)
    year = int(match["year"]) if len(match["year"]) == 4 else _full_year(int(match["year"]), moment, now)
    try:
        return datetime(year, *moment, tzinfo=UTC).timestamp() + leap
    except ValueError:
        return None


@lru_cache(256)
def _parsed_imf(text: str) -> float | None:
    return _parsed(text, 0.0)  # no other format is as long, and its year has four digits


def _full_year(digits: int, moment: tuple[int, int, int, int, int], now: float) -> int:
    """Return the last year ending in `digits` that puts `moment` at most 50 years ahead (RFC 9110 section 5.6.7)."""
    today = datetime.fromtimestamp(now, UTC)
    horizon = today.year + 50
    year = horizon - (horizon - digits) % 100
    too_late = year == horizon and moment > (today.month, today.day, today.hour, today.minute, today.second)
    return year - 100 if too_late else year


def imf_fixdate(seconds: float) -> str:
    """Return the date as it is sent: `Sun, 06 Nov 1994 08:49:37 GMT`. Fractions are cut off."""
    when = datetime.fromtimestamp(seconds // 1, UTC)
    day, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{day}, {when.day:02} {month} {when.year:04} {when.hour:02}:{when.minute:02}:{when.second:02} GMT"
