"""Which keys count for what: the roles that an offline root gives to keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Duty(StrEnum):
    """What a key may sign."""

    ROOT = "root"
    """Who has which duty: kept offline."""
    PUBLISHER = "publisher"
    """Functions and their versions: code and its settings."""
    RELEASE = "release"
    """Aliases, configurations, and the head: what of that is in force."""


_PUBLISHED: Final = frozenset({"fn", "ver"})


@dataclass(frozen=True, slots=True)
class Role:
    """The public keys, by their ids, of which `threshold` must have signed."""

    keys: Mapping[str, bytes]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may sign what. `version` rises by one; after `expires` (seconds since the epoch) nothing new is believed."""

    version: int
    expires: float
    roles: Mapping[Duty, Role]


def duty_of(subject: str) -> Duty:
    """Return who must sign the record of a subject."""
    return Duty.PUBLISHER if subject.partition(".")[0] in _PUBLISHED else Duty.RELEASE
