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
class Blob:
    """The bytes that hold a bundle in a replica, sealed or not: their SHA-256 in hex, and how many they are.

    `url` is of an object store that has them too, under their digest; "" for none. `seal` names the key that sealed
    them, "" where none did, or it is not known.
    """

    digest: str
    size: int
    url: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a version is: what runs it, its limits, and its files by their digest. `settings.path` is "".

    `version` is 0 for the draft. `bundle` is the digest of the files, layers included, as `functions.bundle` has it;
    `blob` is where they are. `published` is when the version was made, 0 for the draft.
    """

    settings: FunctionSettings
    version: int
    bundle: str
    blob: Blob
    description: str = ""
    published: float = 0.0

    @property
    def function(self) -> str:
        """Return the function's name."""
        return self.settings.name

    @property
    def label(self) -> str:
        """Return "name:version", as people write it."""
        return f"{self.function}:{self.version or LATEST}"

    def is_like(self, other: "Manifest") -> bool:
        """Return whether both have the same code and configuration."""
        return (self.settings, self.bundle) == (other.settings, other.bundle)


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
class Use:
    """A hook that needs a function. `qualifier` is a version or an alias, `where` says which hook it is."""

    function: str
    qualifier: str
    where: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One configuration of a site, which never changes: numbered from 1.

    `document` is the JSON text of what locations share (`configuration.sharing`). `uses` are the published functions
    that its hooks name. `previous` is the revision that was in force when this one was published, 0 for none: a
    rollback returns to it.
    """

    number: int
    document: str
    uses: tuple[Use, ...] = ()
    published: float = 0.0
    description: str = ""
    previous: int = 0


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is published for the locations of a site: the revision in force, and those that one can go back to.

    `last` is the highest number that was ever given. `is_deleted`: nothing is published for them any more.
    """

    site: str
    current: int = 0
    revisions: Mapping[int, Revision] = field(default_factory=dict)
    last: int = 0
    is_deleted: bool = False

    @property
    def in_force(self) -> Revision | None:
        """Return the revision that locations run, None where nothing is published."""
        return self.revisions.get(self.current)


@dataclass(frozen=True, slots=True)
class Garbage:
    """A blob that nothing refers to, since when and since which generation.

    Until `deleting` somebody may be deleting it: it can't be referred to again before.
    """

    since: float
    generation: int
    deleting: float = 0.0


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that is published, as of one generation: the sum of all records up to a head (`functions.replicas.base`)."""

    functions: Mapping[str, PublishedFunction] = field(default_factory=dict)
    retired: Mapping[str, int] = field(default_factory=dict)
    """The last version that a deleted function had: if it comes again, its numbers go on from there."""
    configurations: Mapping[str, Configuration] = field(default_factory=dict)
    """What the locations of each site share, by the site's name."""
    garbage: Mapping[str, Garbage] = field(default_factory=dict)
    """Blobs that nothing refers to, by their digest: they are deleted later, in case somebody is still reading."""
    generation: int = 0
    incarnation: str = ""


class LocationState(StrEnum):
    """Whether a location counts: only an active one is waited for."""

    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class FailedVersion:
    """A version (0: the draft) that a location could not take into use, and why."""

    function: str
    version: int
    why: str


@dataclass(frozen=True, slots=True)
class RefusedConfiguration:
    """A revision of a site's configuration that a location could not take into use, and why. It runs the one before."""

    revision: int
    why: str


@dataclass(frozen=True, slots=True)
class LocationStatus:
    """One location's word on itself. `at` is its wall clock, in seconds since the epoch; `workers` how many run.

    `site` is whose published configuration it follows, "" for nobody's; `configuration` is the revision that it runs, 0
    for that of its own file.

    `running` tells for each "function:qualifier" in use the version behind it; one behind several workers that
    differ is the oldest. `generation` and `purge` are what all of its workers have applied.
    """

    location: str
    generation: int
    at: float
    state: LocationState = LocationState.ACTIVE
    purge: int = 0
    incarnation: str = ""
    running: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[FailedVersion, ...] = ()
    workers: int = 1
    rolled_back: Mapping[str, int] = field(default_factory=dict)
    """The version that each "function:alias" has been rolled back from by the location itself."""
    site: str = ""
    configuration: int = 0
    refused: RefusedConfiguration | None = None
    notes: tuple[str, ...] = ()
    """What else whoever looks after it should know, in words."""
