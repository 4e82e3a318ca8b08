"""Which of an alias's two versions an invocation gets: the same in every worker and location, for the same key."""

from hashlib import blake2b

from edgefn.model.publishing import WHOLE, Alias


def chosen_version(alias: Alias, key: bytes) -> int:
    """Return the version for `key`: the sticky cookie's or header's value, or the request's id where there is none.

    The newer version gets the lowest `weight` of 10,000 shares, so whoever has it keeps it while its weight grows.
    """
    first, *others = alias.targets
    if not others:
        return first.version
    newer = others[0]
    return newer.version if share_of(alias, key) < newer.weight else first.version


def share_of(alias: Alias, key: bytes) -> int:
    """Return the share, from 0 to 9,999, that `key` falls in. Different aliases deal their shares independently."""
    name = f"{alias.function}\0{alias.name}\0".encode()
    return int.from_bytes(blake2b(name + key, digest_size=8).digest(), "big") % WHOLE
