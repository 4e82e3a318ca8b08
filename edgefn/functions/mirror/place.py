"""How far a location has got in its fleet's log: kept in its own replica, in one commit with what it took over."""

import json
from dataclasses import dataclass

from edgefn.functions.replicas.base import MIRROR, Record

SUBJECT = MIRROR
"""A record of the location's own replica. No catalog reads it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Sequences in the fleet's log `incarnation`: of the newest record, and of the newest purge."""

    incarnation: str = ""
    sequence: int = 0
    purge: int = 0

    def record(self) -> Record:
        """Return it as a record."""
        document = {"incarnation": self.incarnation, "sequence": self.sequence, "purge": self.purge}
        return Record(SUBJECT, json.dumps(document).encode())


def read(value: bytes) -> Place:
    """Return the place that a record holds; the very beginning when it can't be read: then all is compared anew."""
    try:
        document: object = json.loads(value)
    except ValueError:
        return Place()
    match document:
        case {"incarnation": str(incarnation), "sequence": int(sequence), "purge": int(purge)}:
            return Place(incarnation, sequence, purge)
        case _:
            return Place()
