"""Looking viewers up in a geographic database of MaxMind's format, when one is configured."""

from collections.abc import Callable
from functools import lru_cache

import maxminddb

from edgefn.model.errors import SettingsError
from edgefn.rules.viewer_headers import GeoFacts

Locate = Callable[[str], GeoFacts | None]

_REMEMBERED = 10_000


def open_database(path: str) -> Locate:
    """Return what looks an address up; it knows nobody when `path` is "". Raises `SettingsError`."""
    if not path:
        return lambda _address: None
    try:
        # In memory: a file that is replaced under a memory map would kill the process.
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise SettingsError((f"geo_database: {path}: {error}",)) from error

    @lru_cache(maxsize=_REMEMBERED)
    def locate(address: str) -> GeoFacts | None:
        try:
            record: object = reader.get(address)
        except ValueError:
            return None
        return None if record is None else facts(record)

    return locate


def facts(record: object) -> GeoFacts:
    """Return what a record of a City, Country or ASN database says."""
    return GeoFacts(
        country=_text(record, "country", "iso_code"),
        country_name=_text(record, "country", "names", "en"),
        region=_text(record, "subdivisions", "0", "iso_code"),
        region_name=_text(record, "subdivisions", "0", "names", "en"),
        city=_text(record, "city", "names", "en"),
        postal_code=_text(record, "postal", "code"),
        latitude=_text(record, "location", "latitude"),
        longitude=_text(record, "location", "longitude"),
        metro_code=_text(record, "location", "metro_code"),
        time_zone=_text(record, "location", "time_zone"),
        asn=_text(record, "autonomous_system_number"),
    )


def _text(record: object, *path: str) -> str:
    for step in path:
        match record:
            case dict():
                record = record.get(step)
            case [first, *_] if step == "0":
                record = first
            case _:
                return ""
    return "" if record is None else str(record)
