"""Who may use the control API: the operator's own token, and others with scopes. Kept as hashes."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from edgefn.control.credentials import write_secret
from edgefn.control.endpoints import Scope

OPERATOR: Final = "operator"
"""Who comes with the token of the data directory."""

MOST_TOKENS: Final = 1_000
_FILE: Final = "tokens.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever a token belongs to, and what it lets them do. `created` and `expires` are wall-clock seconds."""

    name: str
    scopes: tuple[Scope, ...]
    digest: str
    created: float
    expires: float | None = None

    def may(self, wanted: Scope) -> bool:
        """Return whether one of the scopes is enough."""
        return any(scope.includes(wanted) for scope in self.scopes)

    def document(self) -> dict[str, object]:
        """Return what may be told of the token: all but the digest."""
        return {
            "name": self.name,
            "scopes": [scope.value for scope in self.scopes],
            "created": self.created,
            "expires": self.expires,
        }


class Tokens:
    """The tokens of one control API. `wall` tells the time, `fresh` makes secrets.

    The secrets are random, 256 bits: their SHA-256 can't be turned back, and needs no salt.
    """

    def __init__(self, data_dir: str, operator: str, *, wall: Callable[[], float], fresh: Callable[[], str]) -> None:
        """Read the tokens in `data_dir`. Raises `OSError`, and `ValueError` for a file that is no longer whole."""
        self._file = Path(data_dir) / _FILE
        self._operator = Holder(OPERATOR, (Scope.ADMIN,), _digest(operator), 0.0)
        self._wall = wall
        self._fresh = fresh
        self._holders = {holder.name: holder for holder in _read(self._file)}

    def holder_of(self, secret: str) -> Holder | None:
        """Return whose token this is; None for nobody's, and for one that has expired."""
        given = _digest(secret)
        for holder in (self._operator, *self._holders.values()):
            if hmac.compare_digest(holder.digest, given):
                return None if holder.expires is not None and holder.expires <= self._wall() else holder
        return None

    def issue(self, name: str, scopes: Sequence[Scope], lifetime: float | None) -> tuple[Holder, str] | None:
        """Return a new token and its secret, which is told only now; None when the name is taken. Raises `OSError`."""
        if name in self._holders or name == OPERATOR or len(self._holders) >= MOST_TOKENS:
            return None
        secret, now = self._fresh(), self._wall()
        expires = None if lifetime is None else now + lifetime
        holder = Holder(name, tuple(dict.fromkeys(scopes)), _digest(secret), now, expires)
        self._write({**self._holders, name: holder})
        return holder, secret

    def revoke(self, name: str) -> bool:
        """Forget a token; return whether there was one. Raises `OSError`, and then it still counts."""
        if name not in self._holders:
            return False
        self._write({known: holder for known, holder in self._holders.items() if known != name})
        return True

    def all(self) -> list[Holder]:
        """Return all tokens but the operator's, by name."""
        return [self._holders[name] for name in sorted(self._holders)]

    def _write(self, holders: dict[str, Holder]) -> None:
        listed = [{**holder.document(), "sha256": holder.digest} for holder in holders.values()]
        write_secret(self._file, orjson.dumps({"tokens": listed}, option=orjson.OPT_INDENT_2).decode() + "\n")
        self._holders = holders


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _read(file: Path) -> list[Holder]:
    try:
        told: object = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        return []
    match told:
        case {"tokens": [*listed]}:
            return [_holder(entry, file) for entry in listed]
        case _:
            raise ValueError(f"{file}: has no list of tokens; restore it, or remove it and make the tokens anew")


def _holder(entry: object, file: Path) -> Holder:
    match entry:
        case {
            "name": str(name),
            "scopes": [*scopes],
            "sha256": str(digest),
            "created": int() | float() as created,
            "expires": int() | float() | None as expires,
        }:
            return Holder(name, tuple(Scope(str(scope)) for scope in scopes), digest, created, expires)
        case _:
            raise ValueError(f"{file}: a token in it is not whole; restore it, or remove it and make the tokens anew")
