"""The root's word on who may sign what, as a control plane publishes it and warns of its end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from edgefn.functions.catalog import CatalogBuilder, Held
from edgefn.functions.committing import PublishError, Senses
from edgefn.functions.publishing import Publisher, untried
from edgefn.functions.replicas.base import TRUST, Record, Replica, ReplicaError
from edgefn.functions.roles import Duty, Trust
from edgefn.functions.signing import Keys, key_id
from edgefn.functions.trust import TrustError, begun, links
from edgefn.model.errors import SettingsError
from edgefn.node import world

_WARN_BEFORE: Final = 30 * 86_400.0
_BOTH: Final = (
    "what is published is signed with a key that the root's newest version does not name: a version that names the "
    "old key beside the new one comes in between, and is published by starting once with it"
)
_CURE: Final = "have the root name it: `edgefn keys authorize`, and `edgefn keys pin` here"


async def publish_trust(replica: Replica, keys: Keys, chain: bytes | None, report: Callable[[str], None]) -> None:
    """Publish the chain where what is published says less, such that all records count by it, before it and after.

    Raises `SettingsError` when the keys here, or those that signed what is published, are none that the root names.
    """
    if keys.trust is None or chain is None:
        return
    if problems := _unnamed(keys, keys.trust):
        raise SettingsError(tuple(f"signatures.keys: {problem}; {_CURE}" for problem in problems))
    try:
        before = await _published(replica, chain, keys.trust)
        if before is not None and before.version >= keys.trust.version:
            return
        if before is None or not _unnamed(keys, before):
            generation = await _signed_before(replica, replace(keys, trust=before), chain)
        elif await _counts(replica, keys):
            generation = await _signed_after(replica, keys, chain)
        else:
            raise SettingsError((f"signatures.keys: {_BOTH}",))
    except (ReplicaError, PublishError) as error:
        raise SettingsError((f"signatures.keys: whom the root trusts can't be published: {error}",)) from error
    report(f"the root's version {keys.trust.version} is published: generation {generation}")


async def _signed_before(replica: Replica, keys: Keys, chain: bytes) -> int:
    """Sign everything with the keys of now, which count already; then let the root's word take others' away."""
    publisher = Publisher(replica, keys, untried, Senses(world.wall, world.pseudonym))
    await publisher.sign_anew()
    return await publisher.publish_trust(chain)


async def _signed_after(replica: Replica, keys: Keys, chain: bytes) -> int:
    """Publish the root's word, which no other key signs; the keys of now count from then on, and sign everything."""
    await replica.append([Record(TRUST, chain)], {})
    publisher = Publisher(replica, keys, untried, Senses(world.wall, world.pseudonym))
    await publisher.sign_anew()
    return await publisher.renew()


async def _counts(replica: Replica, keys: Keys) -> bool:
    """Return whether all that is published counts by the root's word that is here."""
    builder = CatalogBuilder(keys)
    taken = [builder.take(stored) for stored in await replica.read() if stored.subject != TRUST]
    return not builder.problems and not any(isinstance(each, Held) for each in taken)


async def _published(replica: Replica, chain: bytes, ours: Trust) -> Trust | None:
    """Return the root's word that locations may have: the published one, where it and ours are of one chain."""
    stored = await replica.get(TRUST)
    if stored is None or not stored.value:
        return None
    try:
        theirs, mine = links(stored.value), links(chain)
        if theirs[: len(mine)] == mine[: len(theirs)]:
            return begun(stored.value)
    except TrustError:
        pass
    return replace(ours, version=ours.version - 1)  # Somebody else has written it: locations have passed it over.


def _unnamed(keys: Keys, trust: Trust) -> list[str]:
    """Return which of the keys here the root does not name for what they sign."""
    signing = {Duty.RELEASE: keys.signing, Duty.PUBLISHER: keys.publisher or keys.signing}
    named = f"the root's version {trust.version} does not name"
    return [
        f"there is no key to sign with as {duty}" if key is None else f"{named} {key_id(key.public)} as {duty}"
        for duty, key in signing.items()
        if key is None or key_id(key.public) not in trust.roles[duty].keys
    ]


def notes(trust: Trust | None) -> Sequence[str]:
    """Return what whoever looks after a control plane should know of the root's word: that it ends soon, or has."""
    if trust is None or world.wall() < trust.expires - _WARN_BEFORE:
        return ()
    at = world.moment(trust.expires)
    return (
        f"the root's version {trust.version} on who may sign ends at {at}: locations take nothing new over after that",
    )
