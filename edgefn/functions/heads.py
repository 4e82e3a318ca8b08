"""The head of what is published, and the signed form of every record."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from edgefn.functions.documents import DocumentError, Json
from edgefn.functions.replicas.base import HEAD
from edgefn.functions.signing import EnvelopeError, Keys, enveloped, opened

_RECENT = 32


@dataclass(frozen=True, slots=True)
class Payload:
    """What a record says, and what is wrong with its signature: "" when nothing is."""

    generation: int
    document: object
    flaw: str


@dataclass(frozen=True, slots=True)
class Head:
    """The commit mark. `recent` are the newest commits' operations, this one's first, each with its generation.

    `state` is the digest of all records; `expires` when one should worry that no newer head has come, 0 for never.
    """

    generation: int = 0
    incarnation: str = ""
    recent: tuple[tuple[str, int], ...] = ()
    expires: float = 0.0
    state: str = ""

    def generation_of(self, op: str) -> int | None:
        """Return the generation that the operation `op` made, None when it is not among the recent ones."""
        return next((generation for known, generation in self.recent if known == op), None)

    def following(self, op: str, incarnation: str, least_generation: int = 0) -> "Head":
        """Return the head that `op` makes after this one in the log `incarnation`; its state comes later."""
        generation = max(self.generation + 1, least_generation)
        recent = ((op, generation), *self.recent[: _RECENT - 1])
        return replace(self, generation=generation, incarnation=incarnation, recent=recent, state="")


def state_digest(digests: Mapping[str, str]) -> str:
    """Return one digest for the digests of all records by their subjects."""
    lines = "".join(f"{subject} {digest}\n" for subject, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def written(subject: str, generation: int, document: Json, keys: Keys) -> bytes:
    """Return the value of a record: a signed envelope of {subject, generation, document}."""
    payload = orjson.dumps({"subject": subject, "generation": generation, "document": document})
    return enveloped(payload, keys.signs(subject))


def read(subject: str, value: bytes, keys: Keys) -> Payload:
    """Return what the record of `subject` says. Raises `EnvelopeError`, `DocumentError`."""
    envelope = opened(value, keys, subject)
    try:
        payload: object = orjson.loads(envelope.payload)
    except orjson.JSONDecodeError as error:
        raise DocumentError("what it holds is not JSON") from error
    match payload:
        case {"subject": str(meant), "generation": int(generation), "document": document}:
            if meant != subject:
                raise EnvelopeError(f"it was made for {meant}, and put in the place of {subject}")
            return Payload(generation, document, envelope.flaw if keys.verifies else "")
        case _:
            raise DocumentError("what it holds has no subject, generation and document")


def read_head(payload: Payload) -> Head:
    """Return the head in `payload`. Raises `DocumentError`."""
    match payload.document:
        case {
            "incarnation": str(incarnation),
            "recent": list(recent),
            "expires": int() | float() as expires,
            "state": str(state),
        }:
            return Head(payload.generation, incarnation, tuple(_op(each) for each in recent), float(expires), state)
        case _:
            raise DocumentError("it does not say what a head must say")


def _op(document: object) -> tuple[str, int]:
    match document:
        case [str(op), int(generation)]:
            return op, generation
        case _:
            raise DocumentError("recent: must be a list of operations with their generations")


def written_head(head: Head, keys: Keys) -> bytes:
    """Return the value of the record `HEAD`."""
    document: Json = {
        "incarnation": head.incarnation,
        "op": head.recent[0][0] if head.recent else "",
        "recent": [list(each) for each in head.recent],
        "expires": head.expires,
        "state": head.state,
    }
    return written(HEAD, head.generation, document, keys)
