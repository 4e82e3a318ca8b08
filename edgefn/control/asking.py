"""Reading requests of the control API: everything is refused that is not understood."""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from edgefn.control.endpoints import LINES
from edgefn.control.faults import FaultError, invalid
from edgefn.control.tokens import Holder

HOLDER: Final = web.RequestKey("holder", Holder)
"""Whose token came with the request."""

TOUCHED: Final[web.RequestKey[dict[str, object]]] = web.RequestKey("touched", dict)
"""What an endpoint adds to its line in the audit log."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether the token of a request counts. `check` raises `FaultError` when it doesn't, or does no longer.

    To be asked again once the body is there: until then it may have been revoked, or used up by somebody faster.
    """

    check: Callable[[], None]


ADMISSION: Final = web.RequestKey("admission", Admission)
"""Whether the request may still go on."""

_PATIENCE: Final = 60.0

NAME: Final = r"[A-Za-z0-9_-]{1,64}"


async def whole_body(request: web.Request) -> bytes:
    """Return the body of a request whose token still counts. Raises `FaultError`."""
    try:
        async with asyncio.timeout(_PATIENCE):
            body = await request.read()
    except TimeoutError as error:
        raise FaultError(408, "too-slow", f"the body took longer than {_PATIENCE:g} s") from error
    request[ADMISSION].check()
    return body


async def json_body(request: web.Request, *, known: Collection[str]) -> dict[str, object]:
    """Return the JSON object in the body, {} for no body. Raises `FaultError`."""
    return json_object(await whole_body(request), known=known)


def json_object(data: bytes, *, known: Collection[str], at: str = "") -> dict[str, object]:
    """Return the JSON object in `data`, whose members must be among `known`. Raises `FaultError`."""
    if not data.strip():
        return {}
    try:
        told: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise invalid(at, f"is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise invalid(at, "must be a JSON object")
    for key in told:
        if key not in known:
            raise invalid(f"{at}.{key}" if at else key, f"is not known here; known are {', '.join(sorted(known))}")
    return told


def name_in(request: web.Request, part: str) -> str:
    """Return the name that the path has for `part`. Raises `FaultError`."""
    name = request.match_info[part]
    if not re.fullmatch(NAME, name):
        raise invalid(part, f"{name[:80]!r} is no name; write at most 64 letters, digits, dashes and underscores")
    return name


def whole_in(request: web.Request, name: str, default: int, most: int) -> int:
    """Return a whole number from 0 to `most` of the query string. Raises `FaultError`."""
    given = request.query.get(name)
    if given is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", given) or int(given) > most:
        raise invalid(name, f"{given[:80]!r} is no number from 0 to {most:,}")
    return int(given)


def truth_in(request: web.Request, name: str) -> bool:
    """Return whether the query string says yes; False when it says nothing. Raises `FaultError`."""
    match request.query.get(name, "false"):
        case "true" | "1" | "":
            return True
        case "false" | "0":
            return False
        case _:
            raise invalid(name, "must be true or false")


def part_in(request: web.Request, name: str) -> float:
    """Return a number from 0 to 1 of the query string, 1 when it says nothing. Raises `FaultError`."""
    try:
        part = float(request.query.get(name, "1"))
    except ValueError:
        part = math.nan
    if not 0 <= part <= 1:
        raise invalid(name, "must be a number from 0 to 1")
    return part


async def streamed(request: web.Request, pieces: AsyncGenerator[bytes]) -> web.StreamResponse:
    """Answer with lines as they come. What goes wrong before the first is a refusal, later a line of its own."""
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        answer = web.StreamResponse(headers={"Content-Type": LINES})
        await answer.prepare(request)
        await answer.write(first)
        try:
            async for piece in pieces:
                await answer.write(piece)
        except FaultError as fault:
            await answer.write(orjson.dumps(fault.document()) + b"\n")
        await answer.write_eof()
        return answer
