"""A geographic database in MaxMind's format (version 2.0) that knows the countries of a few IPv4 addresses."""

import ipaddress
from pathlib import Path

_MARKER = b"\xab\xcd\xefMaxMind.com"
_BITS = 32
_EMPTY_LIST = b"\x00\x04"


def write_geo_database(path: Path, countries: dict[str, str]) -> Path:
    """Write a database in which each address has the given ISO code, and no other address is known."""
    data = b""
    offsets: dict[str, int] = {}
    for code in sorted(set(countries.values())):
        offsets[code] = len(data)
        data += _table({"country": _table({"iso_code": _text(code)})})
    nodes: list[list[int | None]] = [[None, None]]
    for address, code in countries.items():
        _insert(nodes, int(ipaddress.IPv4Address(address)), -1 - offsets[code])
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
            "node_count": _number(6, count),
            "record_size": _number(5, _BITS),
            "ip_version": _number(5, 4),
            "database_type": _text("Test-Country"),
            "languages": _EMPTY_LIST,
            "binary_format_major_version": _number(5, 2),
            "binary_format_minor_version": _number(5, 0),
            "build_epoch": _number(6, 1_700_000_000),
            "description": _table({}),
        }
    )


def _text(text: str) -> bytes:
    return bytes([2 << 5 | len(text)]) + text.encode()


def _number(kind: int, value: int) -> bytes:
    """Return a number of kind 5 (16 bits) or 6 (32 bits)."""
    size = 2 if kind == 5 else 4
    return bytes([kind << 5 | size]) + value.to_bytes(size, "big")


def _table(entries: dict[str, bytes]) -> bytes:
    return bytes([7 << 5 | len(entries)]) + b"".join(_text(name) + value for name, value in entries.items())
