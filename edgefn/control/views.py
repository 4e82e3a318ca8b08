"""What the control API tells of what is published. The values of environment variables are never among it."""

from typing import Final

from edgefn.control.endpoints import STRING, STRINGS, TRUTH, WHOLE, Json, list_of, table
from edgefn.functions.documents import alias_to_document, settings_to_document
from edgefn.model.publishing import (
    LATEST,
    Alias,
    FailedVersion,
    LocationStatus,
    Manifest,
    PublishedFunction,
    RefusedConfiguration,
)
from edgefn.rules.rollout import Progress

VERSION: Final = table(
    {
        "function": STRING,
        "version": {"type": "string", "description": f"A number, or {LATEST} for the draft."},
        "description": STRING,
        "published": {"type": "number", "description": "Seconds since the epoch; 0 for the draft."},
        "bundle": {"type": "string", "description": "The SHA-256 of the files in their canonical form."},
        "size": {"type": "integer", "description": "Bytes of the packed files."},
        "settings": {"type": "object", "description": "As `functions.NAME` of the configuration."},
        "environment": {**STRINGS, "description": "The names of the environment variables; values are not told."},
        "aliases": STRINGS,
    }
)
ALIAS: Final = table(
    {
        "function": STRING,
        "name": STRING,
        "targets": list_of(table({"version": WHOLE, "weight": WHOLE})),
        "sticky": table({"by": STRING, "name": STRING}),
        "rollback": {"type": ["object", "null"]},
        "previous": {"type": ["integer", "null"]},
        "description": STRING,
    }
)
FUNCTION: Final = table(
    {"name": STRING, "draft": TRUTH, "runtime": STRING, "versions": list_of(WHOLE), "aliases": list_of(ALIAS)}
)
FAILED: Final = list_of(table({"why": STRING}, {"function": STRING, "version": STRING, "configuration": STRING}))
STATUS: Final = table(
    {
        "location": STRING,
        "state": STRING,
        "health": STRING,
        "generation": WHOLE,
        "lag": {"type": "integer", "description": "Generations behind."},
        "seen": {"type": "number", "description": "Seconds since it was last heard of."},
        "purge": WHOLE,
        "running": {"type": "object", "description": "function:qualifier -> version"},
        "failed": FAILED,
        "workers": WHOLE,
        "site": {"type": "string", "description": "Whose published configuration it follows."},
        "configuration": {"type": "integer", "description": "The revision that it runs; 0 for that of its own file."},
        "notes": STRINGS,
    }
)
PROGRESS: Final = table(
    {
        "generation": WHOLE,
        "current": STRINGS,
        "applying": STRINGS,
        "failed": list_of(table({"location": STRING, "failed": FAILED})),
        "unreachable": STRINGS,
        "done": TRUTH,
    }
)

UNREACHABLE_AFTER: Final = 15.0


def version_view(manifest: Manifest, function: PublishedFunction) -> Json:
    """Return a version, and which aliases point at it."""
    settings = settings_to_document(manifest.settings)
    settings.pop("environment", None)
    pointing = [
        alias.name
        for alias in function.aliases.values()
        if manifest.version in {target.version for target in alias.targets}
    ]
    return {
        "function": manifest.function,
        "version": version_name(manifest.version),
        "description": manifest.description,
        "published": manifest.published,
        "bundle": manifest.bundle,
        "size": manifest.blob.size,
        "settings": settings,
        "environment": sorted(manifest.settings.environment),
        "aliases": sorted(pointing),
    }


def version_name(version: int) -> str:
    """Return how people write a version."""
    return str(version) if version else LATEST


def alias_view(alias: Alias) -> Json:
    """Return an alias."""
    return alias_to_document(alias)


def function_view(function: PublishedFunction) -> Json:
    """Return a function with its versions by number, and its aliases."""
    newest = function.draft or function.versions.get(max(function.versions, default=0))
    return {
        "name": function.name,
        "draft": function.draft is not None,
        "runtime": "" if newest is None else newest.settings.runtime,
        "versions": sorted(function.versions),
        "aliases": [alias_view(function.aliases[name]) for name in sorted(function.aliases)],
    }


def _failed_view(failed: tuple[FailedVersion, ...]) -> list[Json]:
    return [{"function": each.function, "version": version_name(each.version), "why": each.why} for each in failed]


def _refused_view(site: str, refused: RefusedConfiguration | None) -> list[Json]:
    if refused is None:
        return []
    return [{"configuration": f"{site} {refused.revision}" if refused.revision else site, "why": refused.why}]


def status_view(status: LocationStatus, generation: int, now: float) -> Json:
    """Return a location's status beside the generation that is published, at `now`."""
    seen = max(0.0, now - status.at)
    lag = max(0, generation - status.generation)
    if seen > UNREACHABLE_AFTER:
        health = "unreachable"
    elif status.failed or status.refused is not None:
        health = "failing"
    else:
        health = "applying" if lag else "current"
    return {
        "location": status.location,
        "state": status.state.value,
        "health": health,
        "generation": status.generation,
        "lag": lag,
        "seen": round(seen, 1),
        "purge": status.purge,
        "running": dict(status.running),
        "failed": [*_failed_view(status.failed), *_refused_view(status.site, status.refused)],
        "workers": status.workers,
        "site": status.site,
        "configuration": status.configuration,
        "notes": list(status.notes),
    }


def progress_view(now: Progress, fraction: float) -> Json:
    """Return how far the locations have got; `done` when `fraction` of the active ones have."""
    return {
        "generation": now.generation,
        "current": list(now.current),
        "applying": list(now.applying),
        "failed": [
            {
                "location": each.location,
                "failed": [*_failed_view(each.failed), *_refused_view(each.site, each.refused)],
            }
            for each in now.failed
        ],
        "unreachable": list(now.unreachable),
        "done": now.is_done(fraction),
    }


CHANGED: Final = table({"generation": {"type": "integer", "description": "The one to wait for."}})
