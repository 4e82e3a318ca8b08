"""What a function can ask its host while it runs: its key-value store (AWS: CloudFront KeyValueStore)."""

import struct
from typing import Protocol

from edgefn.sandbox.wasm.guest import GuestError

MOST_QUESTIONS = 64
"""Questions at one time; each answer takes at most a value's size, so the answers are bounded, too."""

_SIZE = struct.Struct("<i")
_NO_KEY = _SIZE.pack(-1)
_NO_STORE = _SIZE.pack(-2)


class KeyValues(Protocol):
    """The key-value store of a function, read in memory: no call waits."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""

    def about(self) -> bytes:
        """Return JSON with `creationDateTime`, `lastUpdatedDateTime` (ISO 8601) and `keyCount`."""


def answers(questions: object, values: KeyValues | None) -> bytes:
    """Return the answers, each as its length and bytes. Raises `GuestError` for what is no question."""
    if not isinstance(questions, list) or len(questions) > MOST_QUESTIONS:
        raise GuestError("Runtime.InvalidQuestion", f"a function may ask {MOST_QUESTIONS} questions at one time")
    if values is None:
        return _NO_STORE * len(questions)
    return b"".join(_packed(_answer(question, values)) for question in questions)


def _packed(answer: bytes | None) -> bytes:
    return _NO_KEY if answer is None else _SIZE.pack(len(answer)) + answer


def _answer(question: object, values: KeyValues) -> bytes | None:
    match question:
        case ["get", str(key)]:
            return values.get(key)
        case ["meta"]:
            return values.about()
        case _:
            raise GuestError("Runtime.InvalidQuestion", "the function asks for what nobody understands")
