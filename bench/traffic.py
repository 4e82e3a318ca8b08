"""Traffic whose every byte is known: an origin that keeps changing, and viewers who notice anything old or torn.

A target is `/KEY/SIZE`. Its body tells key, generation and size, and all that follows is made of these. The origin
answers with the present generation of the key; whoever was promised that older ones are gone can tell.
"""

import asyncio
import hashlib
import itertools
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

PIECE = 65_536


@lru_cache(512)
def body_of(key: str, generation: int, size: int) -> bytes:
    """Return the body: no two of them look alike, nor do two places in one."""
    head = f"{key} {generation} {size}\n".encode()
    seed = hashlib.sha256(head).digest()
    blocks = (hashlib.sha256(seed + number.to_bytes(4)).digest() for number in itertools.count())
    whole = bytearray(head)
    while len(whole) < size:
        whole += next(blocks) * 32
    return bytes(whole[:size])


class Origin:
    """Serves the present generation of each key. `requests` counts what it was asked."""

    def __init__(self) -> None:
        self.generations: Counter[str] = Counter()
        self.requests = 0
        self.port = 0

    async def __aenter__(self) -> "Origin":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"^Content-Length: (\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
                if length is not None:
                    await reader.readexactly(int(length[1]))
                await self._answer(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        if not head.startswith("GET "):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        _, key, size = head.split(" ")[1].split("/")
        generation = self.generations[key]
        tag = f'"{key}-{generation}"'
        if f"If-None-Match: {tag}".lower() in head.lower():
            writer.write(f"HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\nCache-Control: max-age=3600\r\n\r\n".encode())
            return
        body, status = body_of(key, generation, int(size)), "200 OK"
        lines = f"Cache-Control: max-age=3600\r\nCache-Tag: {key}, all\r\nETag: {tag}\r\n"
        span = re.search(r"^Range: bytes=(\d+)-(\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
        if span is not None:
            first, last = int(span[1]), int(span[2])
            status, lines = "206 Partial Content", f"{lines}Content-Range: bytes {first}-{last}/{len(body)}\r\n"
            body = body[first : last + 1]
        writer.write(f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode())
        for begin in range(0, len(body), PIECE):
            writer.write(body[begin : begin + PIECE])
            await writer.drain()


class WrongError(Exception):
    """A viewer got what it must not get."""


@dataclass
class Tally:
    """What the viewers saw. `floor` is the least generation of a key that may be served from now on."""

    hits: int = 0
    misses: int = 0
    broken: list[str] = field(default_factory=list)
    floor: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Viewers:
    """Asks the location at `base`, and looks at every byte."""

    def __init__(self, base: str, tally: Tally, dice: random.Random) -> None:
        self.base = base
        self.tally = tally
        self.dice = dice
        connector = TCPConnector(limit=0, force_close=True)  # each connection may go to another worker
        self.session = ClientSession(connector=connector, timeout=ClientTimeout(total=60), auto_decompress=False)

    async def close(self) -> None:
        await self.session.close()

    async def get(self, key: str, size: int, *, ranged: bool = False) -> bool | None:
        """Ask for one target; return whether it was a hit, None when nobody answered."""
        least = self.tally.floor[key]
        span = sorted(self.dice.randrange(size) for _ in range(2)) if ranged else None
        headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[1]}"}
        try:
            async with self.session.get(f"{self.base}/{key}/{size}", headers=headers) as answer:
                body = await answer.read()
                status, is_hit = answer.status, answer.headers.get("X-Cache", "").startswith(("Hit", "RefreshHit"))
                tag = answer.headers.get("ETag", "")
        except (ClientError, TimeoutError, OSError) as error:
            self.tally.broken.append(f"/{key}/{size}: {error!r}")
            return None
        self._check(key, size, least, (status, tag, body, span))
        if is_hit:
            self.tally.hits += 1
        else:
            self.tally.misses += 1
        return is_hit

    def _check(self, key: str, size: int, least: int, got: tuple[int, str, bytes, list[int] | None]) -> None:
        status, tag, body, span = got
        told = f"/{key}/{size} span {span}: status {status}, {tag}, {len(body)} bytes"
        if status != (200 if span is None else 206):
            self.tally.wrong.append(f"{told}: {body[:80]!r}")
            return
        generation = int(tag.strip('"').rpartition("-")[2])
        if generation < least:
            self.tally.wrong.append(f"{told}: purged, generation {least} is the least")
        whole = body_of(key, generation, size)
        if body != (whole if span is None else whole[span[0] : span[1] + 1]):
            self.tally.wrong.append(f"{told}: not the bytes of the origin")
