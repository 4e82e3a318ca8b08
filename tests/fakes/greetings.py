"""A function to publish: each of its versions says another word."""

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.committing import Senses
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Replica
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Manifest
from edgefn.model.settings import FunctionSettings
from edgefn.node import world

GREET = FunctionSettings("greet", "", "js", "index.handler")


def saying(word: str) -> Bundle:
    return _bundle(f"exports.handler = async () => ({{ status: '200', body: '{word}' }});")


def failing() -> Bundle:
    return _bundle("exports.handler = async () => { throw new Error('worse'); };")


def unfinished() -> Bundle:
    return _bundle("exports.handler = (")


def _bundle(source: str) -> Bundle:
    return Bundle.of([BundleFile("index.js", source.encode())])


def publisher_on(replica: Replica) -> Publisher:
    """Return a publisher that tries nothing: what locations do with a version that does not start shows then."""

    async def unjudged(_manifest: Manifest, _bundle: Bundle) -> None:
        pass

    return Publisher(replica, Keys(), unjudged, Senses(world.wall, world.invocation_id))


async def until_applied(publisher: Publisher, generation: int, patience: float = 60.0) -> None:
    """Wait until all locations have the generation, or have said why not."""
    async for progress in publisher.wait(generation, patience=patience):
        last = progress
    assert last.is_settled(), last
