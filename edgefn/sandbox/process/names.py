"""A DNS answerer for the allowed names and no others (RFC 1035). Pure: datagram in, datagram out."""

import ipaddress
import struct
from collections.abc import Mapping

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_RESPONSE = 0x8000
_RECURSION_WANTED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_OPCODE = 0x7800
_NO_SUCH_NAME = 3
_NOT_IMPLEMENTED = 4
_TYPE_A, _CLASS_IN = 1, 1
_TTL = 30
_POINTER_TO_QUESTION = 0xC00C
_LONGEST_NAME = 255


def _question(query: bytes) -> tuple[str, int, int, int] | None:
    """Return (name, type, class, end) of the first question; None when it is malformed or compressed."""
    labels: list[str] = []
    place = _HEADER.size
    while place < len(query) and query[place]:
        length = query[place]
        if length > 63 or place > _HEADER.size + _LONGEST_NAME:
            return None
        labels.append(query[place + 1 : place + 1 + length].decode("ascii", "replace").lower())
        place += 1 + length
    end = place + 1 + _QUESTION.size
    if end > len(query):
        return None
    kind, family = _QUESTION.unpack_from(query, place + 1)
    return ".".join(labels), kind, family, end


def answer(query: bytes, addresses: Mapping[str, str]) -> bytes | None:
    """Return the answer to a query: an A record of an allowed name, no data for its other types, else no such name.

    None means that nothing is to be sent, because it was no query.
    """
    if len(query) < _HEADER.size:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _RESPONSE or questions != 1:
        return None
    question = _question(query)
    if question is None:
        return None
    name, kind, family, end = question
    flags = _RESPONSE | (flags & (_OPCODE | _RECURSION_WANTED)) | _RECURSION_AVAILABLE
    if flags & _OPCODE:
        return _HEADER.pack(number, flags | _NOT_IMPLEMENTED, 1, 0, 0, 0) + query[_HEADER.size : end]
    address = addresses.get(name)
    if address is None:
        return _HEADER.pack(number, flags | _NO_SUCH_NAME, 1, 0, 0, 0) + query[_HEADER.size : end]
    record = b""
    if (kind, family) == (_TYPE_A, _CLASS_IN):
        packed = ipaddress.IPv4Address(address).packed
        record = struct.pack("!HHHIH", _POINTER_TO_QUESTION, _TYPE_A, _CLASS_IN, _TTL, len(packed)) + packed
    return _HEADER.pack(number, flags, 1, 1 if record else 0, 0, 0) + query[_HEADER.size : end] + record
