"""What on this machine still needs a sealing key: nothing must be lost when one is forgotten."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from edgefn.functions.catalog import CatalogBuilder, Held
from edgefn.functions.configurations import revision_from_document
from edgefn.functions.documents import DocumentError
from edgefn.functions.keys import KeysError, without_sealing
from edgefn.functions.replicas.base import Replica, ReplicaError
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.resealing import sealed_by
from edgefn.functions.signing import Keys
from edgefn.model.settings import SignaturePolicy
from edgefn.node import world
from edgefn.node.configured import FILE

_REPLICAS = ("replica", "published")
"""What a location has of what is published, and what a control plane has."""


async def needing(data_dir: Path, keys: Keys, key: str) -> list[str]:
    """Return what in a data directory could not be read any more without the sealing key `key`.

    Raises `KeysError` when that can't be told.
    """
    left = without_sealing(replace(keys, policy=SignaturePolicy.WARN), key)
    found = [f"{data_dir / FILE}: start the location once"] if _needs_it(data_dir / FILE, left) else []
    directories = [data_dir / name for name in _REPLICAS if (data_dir / name).is_dir()]
    if not directories:
        raise KeysError(f"{data_dir}: nothing is published here, so what the key seals can't be told; give --data-dir")
    for directory in directories:
        async with _replica(directory) as replica:
            found += await _sealed_in(replica, left)
    return found


@asynccontextmanager
async def _replica(directory: Path) -> AsyncIterator[Replica]:
    try:
        async with opened(directory, world.wall, world.pseudonym) as replica:
            yield replica
    except ReplicaError as error:
        raise KeysError(f"{directory}: can't be read, so what the key seals can't be told: {error}") from error


async def _sealed_in(replica: Replica, left: Keys) -> list[str]:
    builder = CatalogBuilder(left)
    taken = [builder.take(stored) for stored in await replica.read()]
    held = next((each.reason for each in reversed(taken) if isinstance(each, Held)), "")
    if held and builder.head.generation == 0:
        raise KeysError(f"what is published can't be read, so what the key seals can't be told: {held}")
    there = {each.id for each in left.sealing}
    files = [label for seal, labels in sealed_by(builder.catalog).items() if seal not in there for label in labels]
    return [*(problem.subject for problem in builder.problems), *(f"the files of {label}" for label in files)]


def _needs_it(file: Path, left: Keys) -> bool:
    try:
        revision_from_document(orjson.loads(file.read_bytes()), left.sealing)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, DocumentError):
        return True
    return False
