"""How far the locations have got with a generation of what is published."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgefn.model.publishing import FailedVersion, LocationState, LocationStatus, RefusedConfiguration

UNREACHABLE_AFTER = 15.0
"""Seconds of silence after which a location counts as unreachable."""


@dataclass(frozen=True, slots=True)
class About:
    """What somebody waits for: a function, the configuration of a site, or everything. Other failures don't count."""

    function: str = ""
    site: str = ""


EVERYTHING = About()


@dataclass(frozen=True, slots=True)
class FailedLocation:
    """A location that has applied the generation but for some versions, or the configuration of its site."""

    location: str
    failed: tuple[FailedVersion, ...]
    site: str = ""
    refused: RefusedConfiguration | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the active locations stand, by their names. Each is in one of the four lists."""

    generation: int
    current: tuple[str, ...] = ()
    applying: tuple[str, ...] = ()
    failed: tuple[FailedLocation, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def active(self) -> int:
        """Return how many locations count."""
        return len(self.current) + len(self.applying) + len(self.failed) + len(self.unreachable)

    def is_done(self, fraction: float = 1.0) -> bool:
        """Return whether at least `fraction` of the active locations are current. False while there are none."""
        return self.active > 0 and len(self.current) >= math.ceil(fraction * self.active)

    def is_settled(self) -> bool:
        """Return whether no location that can be reached is still at it."""
        return self.active > 0 and not self.applying


def progress(statuses: Iterable[LocationStatus], generation: int, now: float, about: About = EVERYTHING) -> Progress:
    """Return how far `generation` has got. Only locations of the site that it is about count, if there is one."""
    current: list[str] = []
    applying: list[str] = []
    unreachable: list[str] = []
    failed: list[FailedLocation] = []
    for status in sorted(statuses, key=lambda each: each.location):
        if status.state is not LocationState.ACTIVE or about.site not in {"", status.site}:
            continue
        failure = _failure(status, about)
        if status.generation < generation:
            late = now - status.at > UNREACHABLE_AFTER
            (unreachable if late else applying).append(status.location)
        elif failure is not None:
            failed.append(failure)
        else:
            current.append(status.location)
    return Progress(generation, tuple(current), tuple(applying), tuple(failed), tuple(unreachable))


def _failure(status: LocationStatus, about: About) -> FailedLocation | None:
    failed = tuple(each for each in status.failed if not about.site and about.function in {"", each.function})
    refused = None if about.function else status.refused
    if not failed and refused is None:
        return None
    return FailedLocation(status.location, failed, status.site, refused)
