"""Encryption at rest: AES-256-GCM, under a key that never stands beside what it seals.

The nonce is drawn from the plaintext by a second key (HMAC-SHA-256), so that the same bytes under the same key are
sealed alike: an upload that broke off finds what it has stored already, and nothing here needs dice. A nonce is used
again only for the same bytes.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE = 32
_MAGIC = b"edgefn-sealed-1\n"
_ID = 8
_NONCE = 12


class SealError(Exception):
    """What is sealed can't be opened. The message says why; it holds nothing of the key or the content."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A secret of `KEY_SIZE` bytes. `id` names it and tells nothing of it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_SIZE:
            raise ValueError(f"a sealing key has {KEY_SIZE} bytes")

    @property
    def id(self) -> str:
        """Return the key's name, in hex."""
        return self._derived(b"id")[:_ID].hex()

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.digest(self.secret, b"edgefn sealing: " + purpose, hashlib.sha256)

    def seal(self, content: bytes, about: bytes) -> bytes:
        """Return `content` sealed. It opens only together with the same `about`, which is not in it."""
        drawn = hmac.new(self._derived(b"nonce"), len(about).to_bytes(8, "big") + about, hashlib.sha256)
        drawn.update(content)
        nonce = drawn.digest()[:_NONCE]
        head = _MAGIC + bytes.fromhex(self.id)
        return head + nonce + AESGCM(self._derived(b"content")).encrypt(nonce, content, head + about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Return what `sealed` holds. Raises `SealError` when it is damaged, or belongs to something else."""
        head, rest = sealed[: len(_MAGIC) + _ID], sealed[len(_MAGIC) + _ID :]
        try:
            return AESGCM(self._derived(b"content")).decrypt(rest[:_NONCE], rest[_NONCE:], head + about)
        except (InvalidTag, ValueError) as error:
            raise SealError("what is sealed is damaged, or is about something else") from error


def is_sealed(content: bytes) -> bool:
    """Return whether `content` looks sealed."""
    return content.startswith(_MAGIC)


def unsealed(content: bytes, about: bytes, keys: Sequence[SealingKey]) -> bytes:
    """Return `content` as it was before it was sealed; as it is when it isn't. Raises `SealError`."""
    if not is_sealed(content):
        return content
    wanted = content[len(_MAGIC) : len(_MAGIC) + _ID].hex()
    for key in keys:
        if key.id == wanted:
            return key.open(content, about)
    raise SealError(f"it is sealed with the key {wanted}, which is not here; add that sealing key")
