"""Who may do what on the fleet's NATS: the keys of its operator, and the tokens that these sign.

The streams and the control plane live in one account, the locations in another one that borrows reading, the feed and
one status subject each. So an answer to a location cannot leave the locations' account: were they in one account, a
location could name a subject of the records as the one to be answered on, and the server itself would write there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.claims import AccountClaims, UserClaims, account_token, operator_token, user_token
from edgefn.functions.replicas.nats.layout import lent_to_locations, location_may_publish, location_may_subscribe
from edgefn.functions.replicas.nats.link import Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, NkeyError, Owner, check_public

_KEYS: Mapping[str, Owner] = {
    "operator": Owner.OPERATOR,
    "system": Owner.ACCOUNT,
    "fleet": Owner.ACCOUNT,
    "locations": Owner.ACCOUNT,
    "system_user": Owner.USER,
    "control_user": Owner.USER,
}
_MOMENT = 60
"""Seconds. What we sign holds for servers whose clocks are that much behind."""


@dataclass(frozen=True, slots=True)
class Authority:
    """All keys of one fleet's NATS, and the locations' users that are out (public key -> since when). Secret."""

    keys: Mapping[str, KeyPair]
    revoked: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, secret: Callable[[int], bytes]) -> "Authority":
        """Make fresh keys out of `secret`, a source of random bytes."""
        return cls({name: KeyPair(owner, secret(32)) for name, owner in _KEYS.items()})

    @classmethod
    def read(cls, text: str) -> "Authority":
        """Read what `write` wrote. Raises `ReplicaError`."""
        try:
            document = json.loads(text)
            keys = {name: KeyPair.from_seed(document["keys"][name]) for name in _KEYS}
            revoked = {str(public): int(moment) for public, moment in document["revoked"].items()}
        except (NkeyError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReplicaError(
                f"the file of the fleet's NATS keys is damaged ({type(error).__name__}): restore it"
            ) from None
        wrong = [name for name, owner in _KEYS.items() if keys[name].owner is not owner]
        if wrong:
            raise ReplicaError(f"the file of the fleet's NATS keys has a key of the wrong kind: {', '.join(wrong)}")
        return cls(keys, revoked)

    def write(self) -> str:
        """Return it as a document that `read` reads. It holds secrets: keep it readable to its owner only."""
        document = {"keys": {name: key.seed for name, key in self.keys.items()}, "revoked": dict(self.revoked)}
        return json.dumps(document, indent=1)

    def revoke(self, public: str, now: int) -> "Authority":
        """Return the authority in which all tokens of a user made up to now count no more. Raises `ReplicaError`."""
        _check_user(public)
        return replace(self, revoked={**self.revoked, public: now})

    def accounts(self, now: int) -> Mapping[str, str]:
        """Return the tokens of all accounts, by their public keys: what a server must know."""
        fleet, locations = self.keys["fleet"].public, self.keys["locations"].public
        shared = lent_to_locations()
        claims = (
            AccountClaims("SYSTEM", self.keys["system"].public),
            AccountClaims("FLEET", fleet, streams=True, lends=shared),
            AccountClaims("LOCATIONS", locations, borrows=shared, lender=fleet, revoked=self.revoked),
        )
        return {claim.public: account_token(claim, self.keys["operator"], now) for claim in claims}

    def server_settings(self, accounts_dir: str, now: int) -> str:
        """Return the part of a server's configuration that makes it obey this authority."""
        system = self.keys["system"].public
        known = "".join(f"  {public}: {token}\n" for public, token in self.accounts(now).items())
        return (
            f"operator: {operator_token(self.keys['operator'], 'edgefn', system, now)}\n"
            f"system_account: {system}\n"
            f'resolver {{ type: full, dir: {json.dumps(accounts_dir)}, allow_delete: false, interval: "2m" }}\n'
            f"resolver_preload {{\n{known}}}\n"
        )

    def control_login(self, now: int) -> Login:
        """Return the login of the control plane: everything within the account of the streams."""
        return self._login("control_user", "fleet", now)

    def system_login(self, now: int) -> Login:
        """Return the login that tells servers of accounts that have changed."""
        return self._login("system_user", "system", now)

    def location_token(self, location: str, public: str, now: int, expires: int) -> str:
        """Return the token of a location whose user key was made there. Raises `ReplicaError`."""
        _check_user(public)
        claims = UserClaims(location, public, location_may_publish(location), location_may_subscribe(location), expires)
        return user_token(claims, self.keys["locations"], now)

    def _login(self, user: str, account: str, now: int) -> Login:
        key = self.keys[user]
        return Login(user_token(UserClaims(user, key.public, expires=None), self.keys[account], now - _MOMENT), key)


def _check_user(public: str) -> None:
    try:
        check_public(public, Owner.USER)
    except NkeyError as error:
        raise ReplicaError(f"{error}: give the key that the location printed") from None
