"""The origins that a viewer-request function chose for one request, in the place of those of the route."""

from dataclasses import dataclass

from edgefn.model.origin import Origin


@dataclass(frozen=True, slots=True)
class OriginChoice:
    """One origin, or a primary and a secondary with the statuses on which the secondary is asked."""

    members: tuple[Origin, ...]
    statuses: frozenset[int] = frozenset()
