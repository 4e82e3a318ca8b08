"""The root's word on who may sign what: a chain of documents, each signed by the root before it and by its own.

A location is given one when it joins, and follows the chain from there: so keys change without anybody touching a
location, and whoever holds the hub or the control plane can't name keys of their own. Pure: no clock, no I/O.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from edgefn.functions.roles import Duty, Role, Trust
from edgefn.functions.signing import EnvelopeError, SigningKey, key_id, payload_of, signed_by, with_signature

TYPE: Final = "application/vnd.edgefn.trust+json"
_MOST: Final = 1_000
_KEY_BYTES: Final = 32
_MOST_KEYS: Final = 16


class TrustError(Exception):
    """What should say whom to trust does not count. The message says why."""


def drafted(trust: Trust) -> bytes:
    """Return the envelope of a document that nobody has signed yet."""
    roles = {duty.value: _written(trust.roles[duty]) for duty in Duty}
    payload = orjson.dumps({"version": trust.version, "expires": trust.expires, "roles": roles})
    return with_signature(TYPE, payload, [])


def _written(role: Role) -> dict[str, object]:
    keys = [base64.b64encode(role.keys[name]).decode() for name in sorted(role.keys)]
    return {"keys": keys, "threshold": role.threshold}


def signed(envelope: bytes, key: SigningKey) -> bytes:
    """Return the envelope with one more signature. Raises `TrustError`."""
    try:
        payload, signatures = payload_of(envelope, TYPE)
        return with_signature(TYPE, payload, signatures, key)
    except EnvelopeError as error:
        raise TrustError(f"the document can't be signed: {error}") from error


def read(envelope: bytes) -> Trust:
    """Return what a document says, whoever has signed it. Raises `TrustError`."""
    try:
        document: object = orjson.loads(payload_of(envelope, TYPE)[0])
    except (EnvelopeError, orjson.JSONDecodeError) as error:
        raise TrustError(f"it is no document of a root: {error}") from error
    match document:
        case {"version": int(version), "expires": int() | float() as expires, "roles": dict(roles)} if version > 0:
            return Trust(version, float(expires), {duty: _role(duty, roles) for duty in Duty})
        case _:
            raise TrustError("it is no document of a root: version, expires or roles are missing")


def links(chain: bytes) -> list[bytes]:
    """Return the documents of a chain, the oldest first. Raises `TrustError`."""
    try:
        listed: object = orjson.loads(chain)
    except orjson.JSONDecodeError as error:
        raise TrustError("it is no chain of documents: not JSON") from error
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST:
        raise TrustError("it is no chain of documents: a list is due, and not an empty one")
    return [orjson.dumps(each) for each in listed]


def chained(documents: Sequence[bytes]) -> bytes:
    """Return documents as a chain."""
    return orjson.dumps([orjson.loads(each) for each in documents])


def begun(chain: bytes) -> Trust:
    """Return what a chain says that is believed as it was handed over. Each document must follow from the first."""
    documents = links(chain)
    first = read(documents[0])
    _check(documents[0], first.roles[Duty.ROOT], f"version {first.version}")
    return followed(first, chain)


def followed(known: Trust, chain: bytes) -> Trust:
    """Return the newest word of the root in a chain, seen from what is known. Raises `TrustError`.

    What is not newer is passed over. Each step goes up by one, and is signed by enough of the keys that were the root
    before it, and enough of those that are the root from then on.
    """
    for document in links(chain):
        trust = read(document)
        if trust.version <= known.version:
            continue
        if trust.version != known.version + 1:
            raise TrustError(
                f"version {trust.version} is offered, but {known.version} is known: what is between is missing"
            )
        _check(document, known.roles[Duty.ROOT], f"version {trust.version}, by the root of version {known.version}")
        _check(document, trust.roles[Duty.ROOT], f"version {trust.version}, by its own root")
        known = trust
    return known


def _check(document: bytes, root: Role, what: str) -> None:
    try:
        found = len(signed_by(document, TYPE, root.keys))
    except EnvelopeError as error:
        raise TrustError(f"{what}: {error}") from error
    if found < root.threshold:
        raise TrustError(f"{what}: {found} of the {root.threshold} signatures that it needs")


def _role(duty: Duty, roles: Mapping[object, object]) -> Role:
    match roles.get(duty.value):
        case {"keys": [*texts], "threshold": int(threshold)} if 0 < threshold <= len(texts) <= _MOST_KEYS:
            keys = [_key(duty, text) for text in texts]
            named = {key_id(key): key for key in keys}
            if len(named) == len(keys):
                return Role(named, threshold)
        case _:
            pass
    raise TrustError(f"roles.{duty}: must have keys, each once, and a threshold of 1 to their number")


def _key(duty: Duty, text: object) -> bytes:
    try:
        key = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise TrustError(f"roles.{duty}: a key of it is no Ed25519 key in base64")
    return key
