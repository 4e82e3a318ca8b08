"""Signatures (Ed25519) over records, in DSSE envelopes: who signed what, and for which place it was meant.

DSSE's pre-authentication encoding binds the type of the payload; the payload binds the subject and the generation, so
that a record can't be put in another one's place, or an old one in that of its successor.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edgefn.functions.roles import Duty, Role, Trust, duty_of
from edgefn.functions.sealing import SealingKey
from edgefn.model.settings import SignaturePolicy

PAYLOAD_TYPE = "application/vnd.edgefn.record+json"
_MOST_SIGNATURES = 8
_ID = 16


class EnvelopeError(Exception):
    """This is no envelope, or its signature is false. The message says which."""


def key_id(public: bytes) -> str:
    """Return the name of a public key (32 bytes): the start of its SHA-256, in hex."""
    return hashlib.sha256(public).hexdigest()[:_ID]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key, as its 32 bytes."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise ValueError("a signing key has 32 bytes")

    @property
    def public(self) -> bytes:
        """Return the public key, 32 bytes."""
        return _public_of(self.secret)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)


@lru_cache(maxsize=8)
def _public_of(secret: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class Keys:
    """What a publisher signs and seals with, and whose signatures count. Each part may be absent.

    `trusted` holds public keys by their names; a signing key is trusted where it lies. The first of `sealing` seals,
    all of them open. Without any trusted key nothing is verified. With the `trust` of a root the keys that it names
    count, each for its duty, and no others. `publisher` signs functions and versions, where it is not `signing`.
    """

    signing: SigningKey | None = None
    trusted: Mapping[str, bytes] = field(default_factory=dict)
    sealing: tuple[SealingKey, ...] = ()
    policy: SignaturePolicy = SignaturePolicy.WARN
    trust: Trust | None = None
    publisher: SigningKey | None = None

    def role(self, subject: str) -> Role | None:
        """Return who must sign the record of a subject by the root's word, None where no root says so."""
        return None if self.trust is None else self.trust.roles[duty_of(subject)]

    def signs(self, subject: str) -> SigningKey | None:
        """Return the key that signs the record of a subject here."""
        return self.publisher or self.signing if duty_of(subject) is Duty.PUBLISHER else self.signing

    def public(self, name: str) -> bytes | None:
        """Return the trusted public key called `name`, or None."""
        if self.signing is not None and key_id(self.signing.public) == name:
            return self.signing.public
        return self.trusted.get(name)

    @property
    def verifies(self) -> bool:
        """Return whether there is anybody to trust, and so anything to verify."""
        return bool(self.trusted) or self.signing is not None or self.trust is not None

    @property
    def enforces(self) -> bool:
        """Return whether what nobody trusted has signed does not count at all."""
        return self.trust is not None or self.policy is SignaturePolicy.ENFORCE


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload, and what is wrong with its signatures: "" when one of them counts."""

    payload: bytes
    flaw: str


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what a signature covers (DSSE v1: PAE)."""
    name = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def enveloped(payload: bytes, signing: SigningKey | None) -> bytes:
    """Return the DSSE envelope (JSON) of `payload`, signed where there is a key."""
    return with_signature(PAYLOAD_TYPE, payload, [], signing)


def with_signature(kind: str, payload: bytes, signatures: Sequence[object], signing: SigningKey | None = None) -> bytes:
    """Return the DSSE envelope (JSON) of a payload of some type with these signatures, and one more."""
    added = list(signatures)
    if signing is not None:
        name = key_id(signing.public)
        signature = signing.sign(pre_authentication_encoding(kind, payload))
        added = [each for each in added if not (isinstance(each, dict) and each.get("keyid") == name)]
        added.append({"keyid": name, "sig": base64.b64encode(signature).decode()})
    text = base64.b64encode(payload).decode()
    return orjson.dumps({"payloadType": kind, "payload": text, "signatures": added})


def payload_of(envelope: bytes, kind: str) -> tuple[bytes, list[object]]:
    """Return the payload of an envelope, and its signatures as they stand there. Raises `EnvelopeError`."""
    try:
        document: object = orjson.loads(envelope)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("it is not JSON") from error
    match document:
        case {"payloadType": str(found), "payload": str(text), "signatures": list(signatures)} if found == kind:
            return _decoded(text), signatures[:_MOST_SIGNATURES]
        case _:
            raise EnvelopeError(f"it is no envelope of {kind}")


def signed_by(envelope: bytes, kind: str, keys: Mapping[str, bytes]) -> frozenset[str]:
    """Return which of `keys` have signed. Raises `EnvelopeError`, also when a signature of one of them is false."""
    payload, signatures = payload_of(envelope, kind)
    message = pre_authentication_encoding(kind, payload)
    return frozenset(name for name in _verified(message, signatures, keys.get) if name in keys)


def opened(envelope: bytes, keys: Keys, subject: str = "") -> Opened:
    """Return the payload of `envelope`, and whether somebody who may has signed it, being the record of `subject`.

    Raises `EnvelopeError` when it is no envelope, or when a trusted key's signature is false: then it was changed.
    """
    payload, signatures = payload_of(envelope, PAYLOAD_TYPE)
    message = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    role = keys.role(subject)
    if role is None:
        names = _verified(message, signatures, keys.public)
        counted, needed = [name for name in names if keys.public(name) is not None], 1
    else:
        names = _verified(message, signatures, role.keys.get)
        counted, needed = [name for name in names if name in role.keys], role.threshold
    return Opened(payload, "" if len(counted) >= needed else _flaw(names, counted, needed, duty_of(subject), role))


def _flaw(names: Sequence[str], counted: Sequence[str], needed: int, duty: Duty, role: Role | None) -> str:
    if not names:
        return "it is not signed"
    if counted:
        return f"{len(counted)} of the {needed} keys that must have signed it have"
    if role is not None:
        return f"it is signed with {', '.join(names)}, which the root does not name as {duty}"
    return f"it is signed with {', '.join(names)}, which is not trusted here"


def _verified(message: bytes, signatures: Sequence[object], public_of: Callable[[str], bytes | None]) -> list[str]:
    """Return the names of all that have signed, each once; where the key is known its signature is right."""
    names: dict[str, None] = {}
    for signature in signatures:
        match signature:
            case {"keyid": str(name), "sig": str(text)}:
                public = public_of(name)
                if public is not None:
                    _verify(public, _decoded(text), message)
                names[name] = None
            case _:
                raise EnvelopeError("a signature of it has no keyid or no sig")
    return list(names)


def _verify(public: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise EnvelopeError(f"its signature of {key_id(public)} is false: it was changed") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError("a part of it is not base64") from error
