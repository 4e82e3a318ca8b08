"""NATS's keys: Ed25519 in base32, with a letter that says whose they are and a checksum (NATS: NKeys)."""

import binascii
from base64 import b32decode, b32encode
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SEED = 18 << 3
_LENGTH = 32


class Owner(IntEnum):
    """Whose key it is: the byte in front of it, which makes its first letter O, A or U."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


class NkeyError(ValueError):
    """What should be a key is none. Never holds the text of it: that may be a secret."""


class KeyPair:
    """One key: its public name, its secret seed, and signatures by it."""

    def __init__(self, owner: Owner, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._secret = secret
        self.owner = owner
        self.public = _encoded(bytes([owner]) + self._key.public_key().public_bytes_raw())
        """What others call it: 56 letters and digits."""

    @classmethod
    def from_seed(cls, text: str) -> "KeyPair":
        """Read what `seed` wrote. Raises `NkeyError`."""
        raw = _decoded(text)
        if len(raw) != 2 + _LENGTH or raw[0] & 0xF8 != _SEED:
            raise NkeyError("this is not the seed of a NATS key (58 letters and digits that begin with S)")
        owner = (raw[0] & 0x07) << 5 | raw[1] >> 3
        if owner not in list(Owner):
            raise NkeyError("this NATS key belongs to neither an operator nor an account nor a user")
        return cls(Owner(owner), raw[2:])

    @property
    def seed(self) -> str:
        """Return the secret, as NATS writes it."""
        return _encoded(bytes([_SEED | self.owner >> 5, (self.owner & 31) << 3]) + self._secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"


def check_public(text: str, owner: Owner) -> None:
    """Raise `NkeyError` unless `text` is the public key of such an owner."""
    raw = _decoded(text)
    if len(raw) != 1 + _LENGTH or raw[0] != owner:
        raise NkeyError(
            f"this is not the public NATS key of {'an' if owner.name[0] in 'OA' else 'a'} {owner.name.lower()}"
        )


def _encoded(raw: bytes) -> str:
    return b32encode(raw + _checksum(raw)).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        raw = b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise NkeyError("this is not a NATS key: it is not in base32") from None
    if _checksum(raw[:-2]) != raw[-2:]:
        raise NkeyError("this is not a NATS key, or part of it is missing: its checksum does not fit")
    return raw[:-2]


def _checksum(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0).to_bytes(2, "little")
