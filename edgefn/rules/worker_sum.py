"""What a location is, from what its workers say: no better than the one that is furthest behind."""

from collections.abc import Sequence

from edgefn.model.publishing import LocationState, LocationStatus


def worker_name(location: str, number: int) -> str:
    """Return how worker `number` is called on its location's own board; no location has a slash in its name."""
    return f"{location}/{number}"


def is_worker(name: str) -> bool:
    """Return whether `name` is that of a worker, and of no location."""
    return "/" in name


def summed(location: str, state: LocationState, workers: Sequence[LocationStatus], wanted: int) -> LocationStatus:
    """Return the location's status. `wanted` is how many workers there should be: one that is silent has nothing."""
    generation = purge = 0
    if len(workers) >= wanted:
        generation = min((worker.generation for worker in workers), default=0)
        purge = min((worker.purge for worker in workers), default=0)
    running: dict[str, int] = {}
    for worker in workers:
        for label, version in worker.running.items():
            running[label] = min(version, running.get(label, version))
    rolled_back = {label: version for worker in workers for label, version in worker.rolled_back.items()}
    failed = dict.fromkeys(failure for worker in workers for failure in worker.failed)
    return LocationStatus(
        location,
        generation,
        min((worker.at for worker in workers), default=0.0),
        state=state,
        purge=purge,
        incarnation=workers[0].incarnation if workers else "",
        running=running,
        failed=tuple(failed),
        rolled_back=rolled_back,
        workers=len(workers),
    )
