"""What is published: functions, their immutable versions, and aliases that point at these (AWS: versions, aliases).

Weights are in 1/10,000. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edgefn.model.settings import FunctionSettings

LATEST = "$LATEST"
"""The qualifier of a function's draft: the one version that changes."""

WHOLE = 10_000
"""The weight of all invocations."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a version is: what runs it, its limits, and its files by their digest. `settings.path` is "".

    `version` is 0 for the draft. `bundle` is the digest of the files, layers included, as `functions.bundle` has it.
    """

    settings: FunctionSettings
    version: int
    bundle: str
    description: str = ""
    published: float = 0.0

    @property
    def function(self) -> str:
        """Return the function's name."""
        return self.settings.name


@dataclass(frozen=True, slots=True)
class Target:
    """One version that an alias points at, and its share of the invocations."""

    version: int
    weight: int = WHOLE


class StickyBy(StrEnum):
    """What makes an alias with two versions choose the same one again for the same viewer."""

    NONE = "none"
    COOKIE = "cookie"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Sticky:
    """By which cookie or header (lower-case) of the viewer's request a version is chosen."""

    by: StickyBy = StickyBy.NONE
    name: str = ""


@dataclass(frozen=True, slots=True)
class RollbackRule:
    """When an alias with two versions takes the newer one out by itself.

    `error_rate` from 0 to 1 is passed by the newer version's invocations, of which there were at least `invocations`
    within the last `window` seconds.
    """

    error_rate: float
    invocations: int = 20
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for one version, or for two with weights that sum up to `WHOLE` (the stable one first).

    `previous` is the version that a rollback returns to, None when there was none.
    """

    function: str
    name: str
    targets: tuple[Target, ...]
    sticky: Sticky = Sticky()
    rollback: RollbackRule | None = None
    previous: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class PublishedFunction:
    """One function: its draft, its versions by number, its aliases by name. `last_version` is never given again."""

    name: str
    draft: Manifest | None = None
    versions: Mapping[int, Manifest] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    last_version: int = 0


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that is published, as of one generation: the sum of all records up to a head (`functions.replicas.base`)."""

    functions: Mapping[str, PublishedFunction] = field(default_factory=dict)
    configurations: Mapping[str, str] = field(default_factory=dict)
    """Text of a replicated configuration, by the name of the site it is for."""
    generation: int = 0
    incarnation: str = ""
