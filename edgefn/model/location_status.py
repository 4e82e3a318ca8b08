"""A location's status as JSON, to and fro. What a location says of itself is not believed blindly."""

import json
from collections.abc import Mapping

from edgefn.model.publishing import FailedVersion, LocationState, LocationStatus, RefusedConfiguration


def status_to_json(status: LocationStatus) -> bytes:
    """Return a status as JSON."""
    failed = [{"function": each.function, "version": each.version, "why": each.why} for each in status.failed]
    document = {
        "location": status.location,
        "state": status.state.value,
        "generation": status.generation,
        "purge": status.purge,
        "incarnation": status.incarnation,
        "running": dict(status.running),
        "failed": failed,
        "rolled_back": dict(status.rolled_back),
        "at": status.at,
        "workers": status.workers,
        "site": status.site,
        "configuration": status.configuration,
        "refused": None if status.refused is None else {"revision": status.refused.revision, "why": status.refused.why},
        "notes": list(status.notes),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def status_from_json(text: bytes) -> LocationStatus:
    """Return the status that `text` holds. Raises ValueError."""
    document: object = json.loads(text)
    match document:
        case {
            "location": str(location),
            "state": str(state),
            "generation": int(generation),
            "purge": int(purge),
            "incarnation": str(incarnation),
            "running": dict(running),
            "failed": list(failed),
            "rolled_back": dict(rolled_back),
            "at": int() | float() as at,
            "workers": int(workers),
            "site": str(site),
            "configuration": int(configuration),
            "refused": refused,
            **more,
        }:
            return LocationStatus(
                location=location,
                state=LocationState(state),
                generation=generation,
                purge=purge,
                incarnation=incarnation,
                running=_versions("running", running),
                failed=tuple(_failed(each) for each in failed),
                rolled_back=_versions("rolled_back", rolled_back),
                at=float(at),
                workers=workers,
                site=site,
                configuration=configuration,
                refused=_refused(refused),
                notes=_notes(more.get("notes", [])),
            )
        case _:
            raise ValueError("this is no location's status: fields are missing or of another kind")


def _versions(field: str, document: Mapping[object, object]) -> dict[str, int]:
    versions = {key: value for key, value in document.items() if isinstance(key, str) and isinstance(value, int)}
    if len(versions) != len(document):
        raise ValueError(f"{field}: must be a table of names and versions")
    return versions


def _refused(document: object) -> RefusedConfiguration | None:
    match document:
        case None:
            return None
        case {"revision": int(revision), "why": str(why)}:
            return RefusedConfiguration(revision, why)
        case _:
            raise ValueError("refused: must be null, or have revision and why")


def _notes(document: object) -> tuple[str, ...]:
    if not isinstance(document, list):
        raise ValueError("notes: must be a list of sentences")  # what came is wrong, not our code
    return tuple(str(note) for note in document)


def _failed(document: object) -> FailedVersion:
    match document:
        case {"function": str(function), "version": int(version), "why": str(why)}:
            return FailedVersion(function, version, why)
        case _:
            raise ValueError("failed: must be a list of function, version and why")
