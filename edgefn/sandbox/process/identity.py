"""Whom a sandbox runs as: never root, and able to read exactly what it is meant to read."""

import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import dataclass

FALLBACKS = ("edgefn", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and its primary group on the host. `ours` says that it is who we are already: nothing to become."""

    uid: int
    gid: int
    name: str
    ours: bool


@dataclass(frozen=True, slots=True)
class NoIdentity:
    """There is nobody to run a sandbox as, and why."""

    reason: str
    cure: str


Lookup = Callable[[str], tuple[int, int] | None]
"""Takes a user's name; returns its (uid, gid), or None when there is no such user."""


def choose(me: Identity, wanted: str, lookup: Lookup) -> Identity | NoIdentity:
    """Decide whom to run as. Root becomes `wanted`, or the first of `FALLBACKS`; anybody else stays who they are."""
    if me.uid != 0:
        if wanted not in ("", me.name):
            return NoIdentity(
                f"sandbox.user is {wanted!r}, but edgefn runs as {me.name!r} and only root can become somebody else",
                f"remove sandbox.user, or start edgefn as {wanted!r}",
            )
        return me
    for name in (wanted,) if wanted else FALLBACKS:
        found = lookup(name)
        if found is not None and found[0] != 0:
            return Identity(*found, name, ours=False)
    return NoIdentity(
        "edgefn runs as root and there is no unprivileged user for functions to run as"
        + (f": {wanted!r} does not exist, or is root" if wanted else ""),
        "run edgefn as a user of its own (`useradd --system edgefn`), or name an existing one in sandbox.user",
    )


def current() -> Identity:
    """Return who this process is."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Identity(uid, os.getegid(), name, ours=True)


def look_up(name: str) -> tuple[int, int] | None:
    """Look a user up in the host's user database."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def permits(facts: os.stat_result, identity: Identity, bits: int) -> bool:
    """Say whether a file's mode grants `bits` (4 read, 2 write, 1 enter or execute) to the identity."""
    if facts.st_uid == identity.uid:
        granted = facts.st_mode >> 6
    elif facts.st_gid == identity.gid:
        granted = facts.st_mode >> 3
    else:
        granted = facts.st_mode
    return granted & bits == bits


def obstacle(path: str, identity: Identity, bits: int = 4) -> str | None:
    """Return the first part of `path` that keeps the identity from using it, or None when there is none.

    Access lists are not looked at; a path that they open counts as closed.
    """
    real = os.path.realpath(path)
    if not os.path.exists(real):
        return real
    if identity.ours:
        return None if os.access(real, bits) else real
    parents: list[str] = []
    above = os.path.dirname(real)
    while not parents or parents[-1] != "/":
        parents.append(above)
        above = os.path.dirname(above)
    for parent in reversed(parents):
        if not permits(os.stat(parent), identity, 1):
            return parent
    facts = os.stat(real)
    wanted = bits | 1 if stat.S_ISDIR(facts.st_mode) else bits
    return None if permits(facts, identity, wanted) else real
