"""What of a viewer's request can matter: its request line, and some of its fields. Pure."""

import re
from collections.abc import Collection

from edgefn.model.settings import ViewerLimits
from edgefn.wire.viewer_head import FIELDS

_HEAD = re.compile(rb"[^\r]++\r\n%b\r\n" % FIELDS.encode())


class Essences:
    """Takes out of request heads all fields but those of the lower-case `names`."""

    __slots__ = ("_limits", "_telling")

    def __init__(self, names: Collection[str], limits: ViewerLimits) -> None:
        self._limits = limits
        self._telling = re.compile(rb"\r\n(?:%b):[^\r]*+" % b"|".join(_in_any_case(name) for name in sorted(names)))

    def of(self, block: bytes) -> bytes | None:
        """Return the request line and the telling fields of a head, as they stand there.

        None for what is no head, by the lines behind its first one: there the limits and the grammar are looked at as
        `HeadReader` does. So one whose essence is that of a good request is a good request.
        """
        limits = self._limits
        if len(block) > limits.headers_size or block.count(b"\n") - 2 > limits.headers_count:
            return None
        if _HEAD.fullmatch(block) is None:
            return None
        return b"".join((block[: block.index(b"\r")], *self._telling.findall(block)))


def _in_any_case(name: str) -> bytes:
    """Return a pattern for a name. The flag for that would make each place that is looked at dearer."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else re.escape(each) for each in name).encode()
