"""Traffic in which nothing is usual: an origin with moods, and viewers who ask in every way there is.

The origin hesitates, says little at a time, in chunks or not, hints, ignores ranges, and grants anything from nothing
to an hour. Viewers ask with HEAD, conditions, ranges, codings and wishes; each answer must be right for its request.
"""

import asyncio
import gzip
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import brotli
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from bench.traffic import Origin, Tally, Viewers, body_of

ROUTES = """
- {path: /k1*, origin: app, cache: {compress: true, honour_request: true}}
- {path: /k2*, origin: app, cache: {honour_request: true, key: {encodings: [br, gzip]}}}
- {path: "*", origin: app}
"""
_GRANTS = (
    "max-age=3600", "max-age=1", "max-age=1, stale-while-revalidate=5", "no-cache", "max-age=3600", "no-store",
    "s-maxage=2",
)  # fmt: skip
_CODINGS = ("gzip", "br", "gzip, br", "br;q=1, gzip;q=0.5", "identity", "*")
_WISHES = ("no-cache", "max-age=0", "max-stale=3", "min-fresh=2", "no-store")
_NO_SPANS = ("bytes=999999999-", "bytes=-0", "lines=1-2")
_DECODED: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}


class RoughOrigin(Origin):
    """Serves the present generation of each key, as `Origin` does, in whatever way it likes."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        dice, (method, target, _) = self._dice, head.split("\r\n", 1)[0].split(" ")
        if dice.random() < 0.4:
            await asyncio.sleep(dice.random() * 0.02)
        if method not in {"GET", "HEAD"}:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        if dice.random() < 0.1:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        _, key, size = target.split("/")
        generation = self.generations[key]
        tag, number = f'"{key}-{generation}"', int(key[1:])
        lines = [f"Cache-Control: {_GRANTS[number % len(_GRANTS)]}", f"Cache-Tag: {key}, all", f"ETag: {tag}"]
        lines += ["Vary: Accept-Encoding"] if number % len(_GRANTS) == 4 else []
        lines += [time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime())] if dice.random() < 0.5 else []
        if f"if-none-match: {tag}" in head.lower():
            writer.write("\r\n".join(["HTTP/1.1 304 Not Modified", *lines, "", ""]).encode())
            return
        body, status = body_of(key, generation, int(size)), "200 OK"
        span = re.search(r"^range: bytes=(\d+)-(\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
        if span is not None and method == "GET" and dice.random() < 0.8:
            first, last, status = int(span[1]), int(span[2]), "206 Partial Content"
            lines.append(f"Content-Range: bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        is_chunked = dice.random() < 0.3
        lines.append("Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}")
        writer.write("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode())
        if method == "GET":
            await self._say(body, writer, is_chunked=is_chunked)

    async def _say(self, body: bytes, writer: asyncio.StreamWriter, *, is_chunked: bool) -> None:
        dice = self._dice
        cuts = sorted(dice.randrange(len(body) + 1) for _ in range(dice.randrange(4)))
        for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            if dice.random() < 0.5:
                await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))
            part = body[begin:end]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if is_chunked and part else part)
            await writer.drain()
        if is_chunked:
            writer.write(b"0\r\n\r\n")


@dataclass
class _Asked:
    """A request, and what its answer may be: `span` of the whole, or not changed since `tag`."""

    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    is_odd: bool = False
    tag: str = ""


class RoughViewers(Viewers):
    """Asks in every way there is, over connections that are kept, and looks at every byte."""

    def __init__(self, base: str, tally: Tally, dice: random.Random) -> None:
        self.base, self.tally, self.dice = base, tally, dice
        connector = TCPConnector(limit=0, keepalive_timeout=3)
        self.session = ClientSession(connector=connector, timeout=ClientTimeout(total=60), auto_decompress=False)

    def _asking(self, key: str, size: int, least: int) -> _Asked:
        dice, kind = self.dice, self.dice.random()
        asked = _Asked()
        if kind < 0.15:
            first, last = sorted(dice.randrange(size) for _ in range(2))
            asked.span, asked.headers["Range"] = (first, last), f"bytes={first}-{last}"
            if dice.random() < 0.3:
                asked.headers["If-Range"] = f'"{key}-{least}"'
        elif kind < 0.25:
            asked.method = "HEAD"
        elif kind < 0.45:
            asked.tag = f'"{key}-{dice.choice([least, least, least + 1, 0])}"'
            asked.headers["If-None-Match"] = dice.choice([asked.tag, f'"x", {asked.tag}', f"W/{asked.tag}"])
        elif kind < 0.47:
            asked.is_odd, asked.headers["Range"] = True, dice.choice(_NO_SPANS)
        if dice.random() < 0.5:
            asked.headers["Accept-Encoding"] = dice.choice(_CODINGS)
        if dice.random() < 0.3:
            asked.headers["Cookie"] = f"n={dice.random()}"
        if dice.random() < 0.1:
            asked.headers["Cache-Control"] = dice.choice(_WISHES)
        return asked

    async def get(self, key: str, size: int, *, ranged: bool = False) -> bool | None:
        """Ask for one target, however; return whether it was a hit, None when nobody answered."""
        del ranged
        least = self.tally.floor[key]
        asked, told = self._asking(key, size, least), dict[str, str]()
        try:
            async with self.session.request(asked.method, f"{self.base}/{key}/{size}", headers=asked.headers) as answer:
                told = {name.lower(): value for name, value in answer.headers.items()}
                status, body = answer.status, await answer.read()
        except (ClientError, TimeoutError, OSError) as error:
            self.tally.broken.append(f"{asked.method} /{key}/{size} {asked.headers}: {error!r}, after {told}")
            return None
        tag = told.get("etag", "").removeprefix("W/")
        generation = int(tag.strip('"').rpartition("-")[2] or -1)
        why = _flaw(asked, status, told, (body, body_of(key, generation, size), tag))
        if status in {200, 206, 304} and generation < least:
            why = f"older than generation {least}"
        if why:
            self.tally.wrong.append(f"{asked.method} /{key}/{size} {asked.headers}: {why}: {status} {told}")
        if told.get("x-cache", "").startswith(("Hit", "RefreshHit")):
            self.tally.hits += 1
            return True
        self.tally.misses += 1
        return False


def _flaw(asked: _Asked, status: int, told: dict[str, str], got: tuple[bytes, bytes, str]) -> str:
    """Return what is wrong with an answer, "" for nothing."""
    body, whole, tag = got
    coding = told.get("content-encoding", "")
    if status == 304:
        return "" if asked.tag and tag == asked.tag and not body else "not what was asked about"
    if status == 416:
        return "" if asked.is_odd else "the range can be had"
    if asked.method == "HEAD":
        fits = coding or told.get("content-length", str(len(whole))) == str(len(whole))
        return "" if status == 200 and fits and not body else "no head of the whole"
    if status == 206 and asked.span is not None:
        first, last = asked.span
        fits = told["content-range"].startswith(f"bytes {first}-{last}/")
        return "" if coding or (fits and body == whole[first : last + 1]) else "not the part that was asked for"
    if status != 200:
        return "that status"
    if (
        coding
        and coding not in asked.headers.get("Accept-Encoding", "")
        and asked.headers.get("Accept-Encoding") != "*"
    ):
        return "a coding that was not asked for"
    return "" if _DECODED[coding](body) == whole else "not the bytes of the origin"
