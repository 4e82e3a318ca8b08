"""What NATS's operator signs: tokens that say which accounts there are, and what each user may do (NATS: JWTs).

Pure: times are seconds since the epoch, told by the caller.
"""

import hashlib
import json
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgefn.functions.replicas.nats.nkeys import KeyPair

_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT_LIMITS = {**_UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": 0}
_JETSTREAM = ("mem_storage", "disk_storage", "streams", "consumer")


@dataclass(frozen=True, slots=True)
class Shared:
    """One subject that an account lends to another: a service that answers, or a feed that is only heard.

    `many` says that a service may answer with several messages.
    """

    subject: str
    is_service: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class AccountClaims:
    """An account: its public key, whether it has streams, what it lends and borrows, which users are out.

    `revoked` gives, for the public key of a user, the moment up to which tokens count no more.
    """

    name: str
    public: str
    streams: bool = False
    lends: tuple[Shared, ...] = ()
    borrows: tuple[Shared, ...] = ()
    lender: str = ""
    revoked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserClaims:
    """A user: what it may publish to and subscribe to (None: everything), and until when (None: for ever)."""

    name: str
    public: str
    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    expires: int | None = None


def operator_token(operator: KeyPair, name: str, system_account: str, now: int) -> str:
    """Return the operator's token, signed by itself."""
    nats = {"type": "operator", "version": 2, "system_account": system_account}
    return _signed({"name": name, "sub": operator.public, "nats": nats}, operator, now)


def account_token(claims: AccountClaims, operator: KeyPair, now: int) -> str:
    """Return an account's token, signed by the operator."""
    limits: dict[str, object] = {**_ACCOUNT_LIMITS, **dict.fromkeys(_JETSTREAM, -1 if claims.streams else 0)}
    nats: dict[str, object] = {"type": "account", "version": 2, "limits": limits}
    if claims.lends:
        nats["exports"] = [_export(shared) for shared in claims.lends]
    if claims.borrows:
        nats["imports"] = [_import(shared, claims.lender) for shared in claims.borrows]
    if claims.revoked:
        nats["revocations"] = dict(claims.revoked)
    return _signed({"name": claims.name, "sub": claims.public, "nats": nats}, operator, now)


def user_token(claims: UserClaims, account: KeyPair, now: int) -> str:
    """Return a user's token, signed by the account."""
    nats: dict[str, object] = {"type": "user", "version": 2, **_UNLIMITED}
    if claims.publish is not None:
        nats["pub"] = _permitted(claims.publish)
    if claims.subscribe is not None:
        nats["sub"] = _permitted(claims.subscribe)
    token: dict[str, object] = {"name": claims.name, "sub": claims.public, "nats": nats}
    if claims.expires is not None:
        token["exp"] = claims.expires
    return _signed(token, account, now)


def _permitted(subjects: Iterable[str]) -> dict[str, list[str]]:
    return {"allow": list(subjects)}


def _export(shared: Shared) -> dict[str, object]:
    if not shared.is_service:
        return {"name": shared.subject, "subject": shared.subject, "type": "stream"}
    answers = "Stream" if shared.many else "Singleton"
    return {"name": shared.subject, "subject": shared.subject, "type": "service", "response_type": answers}


def _import(shared: Shared, lender: str) -> dict[str, object]:
    kind = "service" if shared.is_service else "stream"
    return {"name": shared.subject, "subject": shared.subject, "account": lender, "type": kind}


def _signed(claims: Mapping[str, object], issuer: KeyPair, now: int) -> str:
    body = {**claims, "iat": now, "iss": issuer.public}
    name = b32encode(hashlib.sha256(_json(body)).digest()).decode().rstrip("=")
    text = f"{_base64(_json({'typ': 'JWT', 'alg': 'ed25519-nkey'}))}.{_base64(_json({**body, 'jti': name}))}"
    return f"{text}.{_base64(issuer.sign(text.encode()))}"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
