"""Who belongs to a fleet: each location's state, its key, and when it may come in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgefn.control.credentials import write_secret
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.model.publishing import LocationState

LOCATIONS = "locations.json"
AUTHORITY = "nats-authority.json"


@dataclass(frozen=True, slots=True)
class Member:
    """One location. `key` is the public key that was made on it, "" until it has joined; times are wall-clock."""

    name: str
    state: LocationState = LocationState.ACTIVE
    key: str = ""
    added: float = 0.0
    joined: float = 0.0
    revoked: bool = False


class Fleet:
    """The locations of one control plane, and the authority over its NATS: both kept in `data_dir`."""

    def __init__(self, data_dir: str, wall: Callable[[], float]) -> None:
        """Read both. Raises `OSError`, `ReplicaError` or `ValueError` for what is damaged."""
        self._directory = Path(data_dir)
        self._wall = wall
        self.authority = Authority.read((self._directory / AUTHORITY).read_text())
        self.members: Mapping[str, Member] = _read(self._directory / LOCATIONS)

    def put(self, member: Member) -> None:
        """Keep what is known of a location. Raises `OSError`."""
        members = {**self.members, member.name: member}
        listed = [asdict(members[name]) for name in sorted(members)]
        write_secret(self._directory / LOCATIONS, json.dumps({"locations": listed}, indent=1) + "\n")
        self.members = members

    def revoke(self, name: str) -> None:
        """Let the location's key count no more; whoever runs the servers must be told. Raises `OSError`."""
        member = self.members[name]
        if member.key:
            self.authority = self.authority.revoke(member.key, int(self._wall()))
            write_secret(self._directory / AUTHORITY, self.authority.write())
        self.put(replace(member, revoked=True, state=LocationState.RETIRED))

    def state(self, name: str) -> LocationState | None:
        """Return a location's state, None for one that is not of this fleet, or was revoked."""
        member = self.members.get(name)
        return None if member is None or member.revoked else member.state


def _read(file: Path) -> dict[str, Member]:
    try:
        listed = json.loads(file.read_text())["locations"]
        members = [Member(**{**each, "state": LocationState(each["state"])}) for each in listed]
    except FileNotFoundError:
        return {}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: is damaged ({error}); restore it") from error
    return {member.name: member for member in members}
