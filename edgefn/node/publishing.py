"""Publishing on this machine: the publisher on its replica, and a workbench where versions are tried and invoked."""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from edgefn.control.alias_endpoints import alias_endpoints
from edgefn.control.configuration_endpoints import configuration_endpoints
from edgefn.control.deploy_endpoints import deploy_endpoints
from edgefn.control.desk import Desk
from edgefn.control.endpoints import Endpoint, Scope
from edgefn.control.function_endpoints import function_endpoints
from edgefn.control.invoke_endpoints import invoke_endpoints
from edgefn.control.log_endpoints import Book, OwnBook, log_endpoints
from edgefn.control.sealing_endpoints import sealing_endpoints
from edgefn.control.status_endpoints import status_endpoints
from edgefn.functions.blob_stores import Depot
from edgefn.functions.bundle import Bundle
from edgefn.functions.collecting import Collected, keep_collecting
from edgefn.functions.committing import Senses
from edgefn.functions.logbook import log_directory
from edgefn.functions.opening import Host
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Replica
from edgefn.functions.righting import Memory, Righted, Watch
from edgefn.functions.rollbacks import Rollbacks
from edgefn.functions.runner import Surroundings
from edgefn.functions.signing import Keys
from edgefn.functions.workbench import Workbench
from edgefn.model.publishing import Manifest, Use
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.node.administering import open_audit
from edgefn.node.configured import Read, own_functions
from edgefn.node.function_logs import function_log
from edgefn.node.hosting import Stores, function_hosts
from edgefn.node.replication import open_keys, open_replica
from edgefn.node.scratch import scratch_directory
from edgefn.node.tending import tend
from edgefn.rules.uses import uses_of

_COLLECT_EVERY = 3_600.0
_log = logging.getLogger("edgefn")


@dataclass(frozen=True, slots=True)
class Place:
    """What publishing needs of a process."""

    replica: Replica
    keys: Keys
    host: Host
    scratch: Path
    surroundings: Surroundings
    uses: Callable[[], Collection[Use]]
    """The hooks that need what is published."""
    data_dir: str
    locations: Callable[[], Collection[str]] = tuple
    """Who must have said what it runs before anything is deleted."""
    lifetime: float = 0.0
    """For how many seconds what is published is fresh, 0 for ever."""
    functions: Callable[[], Collection[str] | None] = lambda: None
    """Those of the location's own file, None where there are several files."""
    memory: Memory | None = None
    """Where it keeps what counted last, beyond the replica."""
    notes: Callable[[], Sequence[str]] = tuple
    """What else whoever asks for the status should know."""
    depot: Depot | None = None
    """Where large files go, too."""
    book: Book | None = None
    """The logs, where these are more than its own."""
    stores: Collection[str] | None = None
    """The key-value stores here: a function whose own lies elsewhere is tried with an empty one.

    None: it must lie here.
    """


async def open_place(
    stack: AsyncExitStack, running: Callable[[], Settings], read: Read, report: Callable[[str], None]
) -> Place:
    """Return a place of its own for a process that answers no viewers; `stack` closes it. Raises `SettingsError`.

    `running` returns the settings in force, `read` those of the file.
    """
    settings = running()
    host = await stack.enter_async_context(function_hosts(settings, report, Stores(lambda: running().kvs)))
    bundles = Path(settings.data_dir) / "bundles"
    scratch = Path(stack.enter_context(scratch_directory(bundles)))
    log = stack.enter_context(function_log(settings.location, settings.data_dir))
    around = Surroundings(world.invocation_id, world.timestamp, log)
    replica = await open_replica(stack, settings.data_dir)
    return Place(
        replica,
        open_keys(settings),
        host,
        scratch,
        around,
        lambda: uses_of(running()),
        settings.data_dir,
        functions=lambda: own_functions(read, running()),
    )


def open_publishing(stack: AsyncExitStack, place: Place, *, mirrors: bool = False) -> tuple[Publisher, list[Endpoint]]:
    """Return a publisher and its endpoints; what they run is stopped by `stack`.

    Where the replica `mirrors` a fleet's, nothing is published: there are the endpoints that read, and `invoke`.
    """

    async def fetch(manifest: Manifest) -> Bundle:
        return await publisher.read_bundle(manifest)

    audit = open_audit(stack, place.data_dir)
    bench = Workbench(place.host, place.scratch, fetch, place.surroundings)
    stack.push_async_callback(bench.close)
    senses = Senses(world.wall, world.pseudonym)
    watch = Watch(place.memory, lambda righted: _tell(righted, audit))
    publisher = Publisher(
        place.replica, place.keys, bench.trial, senses, lifetime=place.lifetime, watch=watch, depot=place.depot
    )
    desk = Desk(publisher, place.uses, world.wall, place.functions, place.notes, place.stores)
    endpoints = [
        *deploy_endpoints(desk),
        *function_endpoints(desk),
        *alias_endpoints(desk),
        *configuration_endpoints(desk),
        *invoke_endpoints(desk, bench.invoke),
        *status_endpoints(desk),
        *sealing_endpoints(desk),
        *log_endpoints(place.book or OwnBook(log_directory(place.data_dir), world.ago)),
    ]
    if mirrors:
        return publisher, [each for each in endpoints if each.scope is Scope.READ or each.id == "invoke"]

    async def collect() -> Collected:
        return await publisher.collect(place.uses(), locations=place.locations())

    for work in (
        publisher.keep_fresh(),
        publisher.keep_right(),
        Rollbacks(place.replica, publisher, _log.warning).run(),
        keep_collecting(collect, _COLLECT_EVERY, _log.warning),
    ):
        tend(stack, work)
    return publisher, endpoints


def _tell(righted: Righted, audit: Callable[[str], None]) -> None:
    _log.warning("%s", righted.line)
    told = {"subjects": list(righted.subjects), "generation": righted.generation}
    line = {"at": world.timestamp(), "who": "edgefn", "from": None, "what": "put-right", **told, "outcome": "done"}
    audit(orjson.dumps(line).decode())
