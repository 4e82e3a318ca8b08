"""Digests by which a read knows that it has the bytes that were written, at their place, of the entry it wants.

Against disks and crashes, not against forgers: whoever can write here can write anything.
"""

import hashlib

SIZE = 16
BLOCK = 65_536
"""A body is sealed in blocks of so many bytes, so that a part of it can be read alone."""


def block_seal(number: int, index: int, data: bytes | memoryview) -> bytes:
    """Return the seal of a block of entry `number`'s body, the `index`-th."""
    digest = hashlib.sha256(b"%d %d " % (number, index))
    digest.update(data)
    return digest.digest()[:SIZE]


def head_seal(number: int, key: str, head: bytes) -> bytes:
    """Return the seal of entry `number`'s head, and of its key."""
    return hashlib.sha256(b"%d %b %b" % (number, key.encode(), head)).digest()[:SIZE]


def sealed_size(length: int) -> int:
    """Return how many bytes a body takes with its seals."""
    return length + SIZE * ((length + BLOCK - 1) // BLOCK)
