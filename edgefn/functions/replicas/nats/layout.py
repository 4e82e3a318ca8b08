"""What lies where in JetStream: streams, subjects, and who may touch them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.claims import Shared

RECORDS, BLOBS, PURGES, STATUSES = "EDGEFN_RECORDS", "EDGEFN_BLOBS", "EDGEFN_PURGES", "EDGEFN_STATUSES"
INCARNATION = "edgefn.incarnation"
RECORD = "edgefn.record"
BLOB = "edgefn.blob"
PURGE = "edgefn.purge"
STATUS = "edgefn.status"
FEED = "edgefn.feed"
ASKED = f"{FEED}.asked"
"""What the control plane asks all locations at once: for what functions logged."""
TOLD = "edgefn.told"
"""What a location tells of it. Nothing of that is kept: who does not listen then does not hear it."""
CHUNK = 512 * 1024
"""Bytes of one piece of a blob: NATS takes messages of up to 1 MB."""
STATUS_KEPT_SECONDS = 86_400
SAME_OP_SECONDS = 120
_LOCATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_NANOSECONDS = 1_000_000_000
_OWN = (STATUS, TOLD)
"""Where each location has one subject, on which nobody else may send."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept, and how often. `copies` is 1 for a single server, 3 for a cluster.

    Purges are kept by their number and not by their age: so the newest one is always there, and says how far they go.
    """

    copies: int = 1
    purges: int = 100_000


def streams(keeping: Keeping) -> Mapping[str, Mapping[str, object]]:
    """Return each stream's configuration, as JetStream's API takes it."""
    both: dict[str, object] = {"retention": "limits", "num_replicas": keeping.copies, "allow_direct": True}
    newest: dict[str, object] = {**both, "max_msgs_per_subject": 1}
    return {
        RECORDS: {
            **newest,
            "subjects": [f"{RECORD}.>", INCARNATION],
            "storage": "file",
            "allow_atomic": True,
            "republish": {"src": f"{RECORD}.>", "dest": f"{FEED}.record.>"},
        },
        BLOBS: {
            **newest,
            "subjects": [f"{BLOB}.>"],
            "storage": "file",
            # A chunk that is there is never written again.
            "discard": "new",
            "discard_new_per_subject": True,
        },
        PURGES: {
            **both,
            "subjects": [PURGE],
            "storage": "file",
            "max_msgs": keeping.purges,
            "duplicate_window": SAME_OP_SECONDS * _NANOSECONDS,
            "republish": {"src": PURGE, "dest": f"{FEED}.purge"},
        },
        STATUSES: {
            **newest,
            "subjects": [f"{STATUS}.*"],
            # Not in memory: a single server that restarts would forget that there is such a stream.
            "storage": "file",
            # Each location says again within seconds what it is at: not worth a wait for the disk each time.
            **({"persist_mode": "async"} if keeping.copies == 1 else {}),
            "max_age": STATUS_KEPT_SECONDS * _NANOSECONDS,
            "republish": {"src": f"{STATUS}.>", "dest": f"{FEED}.status.>"},
        },
    }


def lent_to_locations() -> tuple[Shared, ...]:
    """Return what the account of the streams lends to that of the locations: reading, their own words, the feed."""
    reading = [
        Shared(subject, many=True)
        for stream in (RECORDS, BLOBS, PURGES)
        for subject in (f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>")
    ]
    hearing = [Shared(subject, is_service=False) for subject in (f"{FEED}.record.>", f"{FEED}.purge", ASKED)]
    return (*reading, *(Shared(f"{own}.*") for own in _OWN), *hearing)


def location_part(location: str) -> str:
    """Return a location's name as one part of a subject, where a dot would end it. Raises `ReplicaError`."""
    if not _LOCATION.fullmatch(location):
        raise ReplicaError(f"{location!r} is no name of a location: write letters, digits, dots, _ and - (fra1)")
    return location.replace(".", "~")


def location_in(part: str) -> str:
    """Return the location whose name `location_part` has written."""
    return part.replace("~", ".")


def location_may_publish(location: str) -> tuple[str, ...]:
    """Return the subjects that one location may send to."""
    everybodys = {f"{own}.*" for own in _OWN}
    shared = [lent.subject for lent in lent_to_locations() if lent.is_service and lent.subject not in everybodys]
    return (*shared, *(f"{own}.{location_part(location)}" for own in _OWN))


def location_may_subscribe(location: str) -> tuple[str, ...]:
    """Return the subjects that one location may hear."""
    return (f"{location_inbox(location)}.>", *(lent.subject for lent in lent_to_locations() if not lent.is_service))


def location_inbox(location: str) -> str:
    """Return where the answers to one location arrive."""
    return f"_INBOX_{location_part(location)}"
