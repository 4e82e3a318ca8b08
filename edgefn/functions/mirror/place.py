"""How far a location has got in its fleet's log: kept in its own replica, in one commit with what it took over."""

import json
from dataclasses import asdict, dataclass

from edgefn.functions.replicas.base import MIRROR, Record

SUBJECT = MIRROR
"""A record of the location's own replica. No catalog reads it."""


@dataclass(frozen=True, slots=True)
class Place:
    """The newest record and the newest purge that were taken over: their sequences, and the logs that these are of.

    The two may be of different logs, when one that replaces the other has been followed for its purges only.
    """

    incarnation: str = ""
    sequence: int = 0
    purges_of: str = ""
    purge: int = 0

    def record(self) -> Record:
        """Return it as a record."""
        return Record(SUBJECT, json.dumps(asdict(self)).encode())


def read(value: bytes) -> Place:
    """Return the place that a record holds; the very beginning when it can't be read: then all is compared anew."""
    try:
        document: object = json.loads(value)
    except ValueError:
        return Place()
    match document:
        case {
            "incarnation": str(incarnation),
            "sequence": int(sequence),
            "purges_of": str(purges_of),
            "purge": int(purge),
        }:
            return Place(incarnation, sequence, purges_of, purge)
        case _:
            return Place()
