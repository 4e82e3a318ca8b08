"""Signatures (Ed25519) over records, in DSSE envelopes: who signed what, and for which place it was meant.

DSSE's pre-authentication encoding binds the type of the payload; the payload binds the subject and the generation, so
that a record can't be put in another one's place, or an old one in that of its successor.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

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
    all of them open. Without any trusted key nothing is verified.
    """

    signing: SigningKey | None = None
    trusted: Mapping[str, bytes] = field(default_factory=dict)
    sealing: tuple[SealingKey, ...] = ()
    policy: SignaturePolicy = SignaturePolicy.WARN

    def public(self, name: str) -> bytes | None:
        """Return the trusted public key called `name`, or None."""
        if self.signing is not None and key_id(self.signing.public) == name:
            return self.signing.public
        return self.trusted.get(name)

    @property
    def verifies(self) -> bool:
        """Return whether there is anybody to trust, and so anything to verify."""
        return bool(self.trusted) or self.signing is not None


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
    signatures = []
    if signing is not None:
        signature = signing.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        signatures.append({"keyid": key_id(signing.public), "sig": base64.b64encode(signature).decode()})
    text = base64.b64encode(payload).decode()
    return orjson.dumps({"payloadType": PAYLOAD_TYPE, "payload": text, "signatures": signatures})


def opened(envelope: bytes, keys: Keys) -> Opened:
    """Return the payload of `envelope`, and whether somebody trusted has signed it.

    Raises `EnvelopeError` when it is no envelope, or when a trusted key's signature is false: then it was changed.
    """
    try:
        document: object = orjson.loads(envelope)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("it is not JSON") from error
    match document:
        case {"payloadType": str(kind), "payload": str(text), "signatures": list(signatures)} if kind == PAYLOAD_TYPE:
            payload = _decoded(text)
        case _:
            raise EnvelopeError(f"it is no envelope of {PAYLOAD_TYPE}")
    return Opened(payload, _flaw(payload, signatures[:_MOST_SIGNATURES], keys))


def _flaw(payload: bytes, signatures: list[object], keys: Keys) -> str:
    message = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    strangers = []
    for signature in signatures:
        match signature:
            case {"keyid": str(name), "sig": str(text)}:
                public = keys.public(name)
                if public is not None:
                    _verify(public, _decoded(text), message)
                    return ""
                strangers.append(name)
            case _:
                raise EnvelopeError("a signature of it has no keyid or no sig")
    if strangers:
        return f"it is signed with {', '.join(strangers)}, which is not trusted here"
    return "it is not signed"


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
