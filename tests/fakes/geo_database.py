"""A geographic database in MaxMind's format (version 2.0) that knows a few IPv4 addresses."""

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path

_MARKER = b"\xab\xcd\xefMaxMind.com"
_BITS = 32
_DOUBLE, _SHORT, _LONG = 3, 5, 6


def write_geo_database(path: Path, countries: Mapping[str, str]) -> Path:
    """Write a database in which each address has the given ISO code, and no other address is known."""
    return write_geo_records(path, {address: {"country": {"iso_code": code}} for address, code in countries.items()})


def write_geo_records(path: Path, records: Mapping[str, object]) -> Path:
    """Write a database with a record of texts, numbers, lists and tables for each address."""
    data = b""
    nodes: list[list[int | None]] = [[None, None]]
    for address, record in records.items():
        _insert(nodes, int(ipaddress.IPv4Address(address)), -1 - len(data))
        data += _encoded(record)
    tree = b"".join(_record(side, len(nodes)) for node in nodes for side in node)
    path.write_bytes(tree + bytes(16) + data + _MARKER + _metadata(len(nodes)))
    return path


def _insert(nodes: list[list[int | None]], address: int, leaf: int) -> None:
    """Add the path of `address` to the tree; a leaf is a negative number, any other a node."""
    at = 0
    for bit in range(_BITS - 1, 0, -1):
        side = address >> bit & 1
        below = nodes[at][side]
        if below is None:
            nodes.append([None, None])
            below = nodes[at][side] = len(nodes) - 1
        at = below
    nodes[at][address & 1] = leaf


def _record(side: int | None, count: int) -> bytes:
    if side is None:
        return count.to_bytes(4, "big")
    return (side if side >= 0 else count + 16 - 1 - side).to_bytes(4, "big")


def _metadata(count: int) -> bytes:
    return _table(
        {
            "node_count": _number(_LONG, count),
            "record_size": _number(_SHORT, _BITS),
            "ip_version": _number(_SHORT, 4),
            "database_type": _encoded("Test-City"),
            "languages": _encoded([]),
            "binary_format_major_version": _number(_SHORT, 2),
            "binary_format_minor_version": _number(_SHORT, 0),
            "build_epoch": _number(_LONG, 1_700_000_000),
            "description": _encoded({}),
        }
    )


def _encoded(value: object) -> bytes:
    """Return a value of fewer than 29 bytes or entries."""
    match value:
        case str():
            content = value.encode()
            return bytes([2 << 5 | len(content)]) + content
        case float():
            return bytes([_DOUBLE << 5 | 8]) + struct.pack(">d", value)
        case int():
            return _number(_LONG, value)
        case list():
            return bytes([len(value), 4]) + b"".join(map(_encoded, value))
        case dict():
            return _table({name: _encoded(entry) for name, entry in value.items()})
        case _:
            raise TypeError(value)


def _number(kind: int, value: int) -> bytes:
    size = 2 if kind == _SHORT else 4
    return bytes([kind << 5 | size]) + value.to_bytes(size, "big")


def _table(entries: Mapping[str, bytes]) -> bytes:
    return bytes([7 << 5 | len(entries)]) + b"".join(_encoded(name) + value for name, value in entries.items())
