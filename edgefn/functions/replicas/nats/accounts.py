"""Telling running servers of accounts that have changed: that is how a location is cut off."""

import json

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.link import Link


async def tell(link: Link, authority: Authority, now: int) -> None:
    """Give the servers the accounts as `authority` now has them; connections that are out end at once.

    `link` must be logged in with `Authority.system_login`. A server that is down now learns it from the others, or, as
    the only one, must be told again. Raises `ReplicaError`.
    """
    for public, token in authority.accounts(now).items():
        answer = await link.ask(f"$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE", token.encode())
        if not _was_taken(answer.data):
            said = answer.data[:200].decode(errors="replace")
            raise ReplicaError(f"the NATS server did not take the account {public}: {said}")


def _was_taken(data: bytes) -> bool:
    try:
        document: object = json.loads(data)
    except ValueError:
        return False
    taken = document.get("data") if isinstance(document, dict) else None
    return isinstance(taken, dict) and taken.get("code") == 200
