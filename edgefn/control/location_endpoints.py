"""The endpoints about the locations of a fleet: adding them, letting them in, and sending them away."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from aiohttp import web

from edgefn.control.asking import HOLDER, TOUCHED, json_body, name_in
from edgefn.control.endpoints import NUMBER, STRING, STRINGS, TRUTH, Endpoint, Scope, json_of, list_of, table
from edgefn.control.faults import FaultError, invalid, unknown
from edgefn.control.fleet import Fleet, Member
from edgefn.control.tokens import OPERATOR, Tokens
from edgefn.functions.replicas.base import ReplicaError
from edgefn.model.publishing import LocationState

TOKEN_LIFETIME: Final = 3_600.0

LOCATION: Final = table(
    {"name": STRING, "state": STRING, "key": STRING, "added": NUMBER, "joined": NUMBER, "revoked": TRUTH}
)
JOINED: Final = table(
    {
        "location": STRING,
        "servers": STRINGS,
        "ca": {"type": "string", "description": "Who signs the servers' certificates (PEM); empty: the system knows."},
        "token": {"type": "string", "description": "What NATS takes with the location's key."},
        "issued": NUMBER,
        "expires": NUMBER,
        "renewal": {"type": "string", "description": "The token for fresh credentials; told only when it joins."},
        "trusted": {"type": "string", "description": "The public key that signs what is published, or empty."},
        "root": {"type": "string", "description": "What an offline root says of who may sign, or empty."},
        "sealing": {"type": "string", "description": "The keys that open what is sealed; told only when it joins."},
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """What each location that comes in is told: where the servers are, and who signs for their certificates (PEM, ""
    for whoever its system trusts); the key that signs what is published, and the one that opens what is sealed, or "".
    """

    servers: tuple[str, ...]
    ca: str = ""
    trusted: str = ""
    sealing: str = ""
    root: str = ""
    """What an offline root says of who may sign, "" where there is none."""


@dataclass(frozen=True, slots=True)
class Hall:
    """What locations need to come in. `tell` lets the NATS servers know whom they must cut off; credentials hold for
    `lifetime` seconds.
    """

    fleet: Fleet
    tokens: Tokens
    told: Told
    wall: Callable[[], float]
    tell: Callable[[], Awaitable[None]]
    lifetime: int

    def known(self, name: str) -> Member:
        """Return a location. Raises `FaultError`."""
        member = self.fleet.members.get(name)
        if member is None:
            names = ", ".join(sorted(self.fleet.members)) or "none"
            raise unknown("location", f"there is no location {name!r}; there are: {names}")
        return member

    async def listed(self, _: web.Request) -> web.Response:
        """Tell of all locations."""
        members = self.fleet.members
        return web.json_response({"locations": [asdict(members[name]) for name in sorted(members)]})

    async def add(self, request: web.Request) -> web.Response:
        """Make a one-time token."""
        name = name_in(request, "location")
        request[TOUCHED].update(location=name)
        before = self.fleet.members.get(name)
        if before is not None and before.key and not before.revoked and before.state is not LocationState.RETIRED:
            told = f"{name} is in the fleet already; retire or revoke it first, or take another name"
            raise FaultError(409, "name-taken", told, field="location")
        self.tokens.revoke(_join(name))
        issued = self.tokens.issue(_join(name), [Scope.JOIN], TOKEN_LIFETIME)
        if issued is None:
            raise FaultError(409, "too-many", "there are too many tokens; revoke some of them")
        self.fleet.put(Member(name, added=self.wall()))
        return web.json_response({"location": name, "token": issued[1], "lifetime": TOKEN_LIFETIME}, status=201)

    async def join(self, request: web.Request) -> web.Response:
        """Let a location in, or give it fresh credentials."""
        return await _joined(self, request)

    async def change(self, request: web.Request) -> web.Response:
        """Change its state."""
        wanted = (await json_body(request, known={"state"})).get("state")
        member = self.known(name_in(request, "location"))  # as it is now: bodies may take their time
        if wanted not in {state.value for state in LocationState}:
            raise invalid("state", f"must be one of {', '.join(LocationState)}")
        if member.revoked:
            raise FaultError(409, "revoked", f"{member.name} is revoked; add it anew")
        state = LocationState(str(wanted))
        self.fleet.put(replace(member, state=state))
        if state is LocationState.RETIRED:
            self.tokens.revoke(_renew(member.name))
        return web.json_response(asdict(self.fleet.members[member.name]))

    async def revoke(self, request: web.Request) -> web.Response:
        """Cut it off."""
        member = self.known(name_in(request, "location"))
        self.tokens.revoke(_renew(member.name))
        self.tokens.revoke(_join(member.name))
        self.fleet.revoke(member.name)
        try:
            await self.tell()
        except ReplicaError as error:
            told = f"{member.name} gets no new credentials, but the servers don't know yet: {error}; revoke it again"
            raise FaultError(503, "unavailable", told) from error
        return web.json_response(asdict(self.fleet.members[member.name]))


def location_endpoints(hall: Hall) -> list[Endpoint]:
    """Return the endpoints."""
    at, one = "/v1/locations", "/v1/locations/{location}"
    added = json_of(table({"location": STRING, "token": STRING, "lifetime": NUMBER}))
    key, state = json_of(table({"key": STRING})), json_of(table({"state": STRING}))
    locations, admin, told = json_of(table({"locations": list_of(LOCATION)})), Scope.ADMIN, json_of(LOCATION)
    lets_in = "Let a location in by its one-time token, and give it fresh credentials later by its own."
    cuts = "Let its key count no more, and cut it off."
    return [
        Endpoint("list-locations", "GET", at, Scope.READ, "The locations of the fleet.", hall.listed, locations),
        Endpoint("add-location", "POST", one, admin, "Make a one-time token for it.", hall.add, added, status=201),
        Endpoint("join", "POST", f"{one}/credentials", Scope.JOIN, lets_in, hall.join, json_of(JOINED), key),
        Endpoint("change-location", "PATCH", one, admin, "Drain, retire or activate it.", hall.change, told, state),
        Endpoint("revoke-location", "DELETE", one, admin, cuts, hall.revoke, told),
    ]


async def _joined(hall: Hall, request: web.Request) -> web.Response:
    name = name_in(request, "location")
    holder = request[HOLDER].name
    if holder not in {_join(name), _renew(name), OPERATOR}:
        raise FaultError(403, "no-scope", f"this token is not that of {name}")
    key = (await json_body(request, known={"key"})).get("key")
    member = hall.known(name)  # from here on without a wait: a one-time token counts once
    if not isinstance(key, str):
        raise invalid("key", "must be the public key that was made on the location")
    if holder == _renew(name) and key != member.key:
        raise invalid("key", "is not the one that the location joined with")
    now = hall.wall()
    expires = int(now) + hall.lifetime
    try:
        token = hall.fleet.authority.location_token(name, key, int(now), expires)
    except ReplicaError as error:
        raise invalid("key", str(error)) from error
    told: dict[str, object] = {"location": name, "token": token, "issued": int(now), "expires": expires, "renewal": ""}
    told |= {**asdict(hall.told), "servers": list(hall.told.servers)}
    if holder == _renew(name):
        told["sealing"] = ""  # It has it: the fewer times a secret travels, the better.
    else:
        told["renewal"] = _admitted(hall, replace(member, key=key, joined=now, revoked=False))
    return web.json_response(told)


def _admitted(hall: Hall, member: Member) -> str:
    """Let a location be one of the fleet; return its own token. The one-time token is used up."""
    hall.tokens.revoke(_join(member.name))
    hall.tokens.revoke(_renew(member.name))
    hall.fleet.put(member)
    issued = hall.tokens.issue(_renew(member.name), [Scope.JOIN], None)
    if issued is None:
        raise FaultError(409, "too-many", "there are too many tokens; revoke some of them")
    return issued[1]


def _join(name: str) -> str:
    return f"join@{name}"


def _renew(name: str) -> str:
    return f"location@{name}"
