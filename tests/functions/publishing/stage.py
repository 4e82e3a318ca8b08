"""A publisher on a replica of its own, and what is around them."""

import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from edgefn.functions.bundle import Bundle
from edgefn.functions.committing import Senses
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Replica
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Manifest


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Trials:
    """Counts what is tried. `verdicts` tells for a bundle why it does not start."""

    tried: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)

    async def __call__(self, manifest: Manifest, bundle: Bundle) -> str | None:
        self.tried.append(manifest.label)
        return self.verdicts.get(bundle.digest)


_ops = count()


def senses(clock: Callable[[], float]) -> Senses:
    return Senses(clock, lambda: f"op-{next(_ops)}")


@dataclass
class Stage:
    """What a test of publishing plays on. Every publisher is as one of another process."""

    directory: Path
    replica: SqliteReplica
    clock: Clock
    trials: Trials
    keys: Keys

    def publisher(self, replica: Replica | None = None, keys: Keys | None = None) -> Publisher:
        return Publisher(
            self.replica if replica is None else replica,
            self.keys if keys is None else keys,
            self.trials,
            senses(self.clock),
        )


@asynccontextmanager
async def staged(directory: Path, keys: Keys | None = None) -> AsyncIterator[Stage]:
    clock = Clock()
    async with opened(directory, clock, lambda: "a log") as replica:
        yield Stage(directory, replica, clock, Trials(), keys or Keys())


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: what a full disk looks like to a writer."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
