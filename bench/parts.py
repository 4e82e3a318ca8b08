"""What does each part of our own Python cost, in microseconds of CPU per call? No sockets, no peers, no second process.

    python -m bench.parts [--repeats 15] [--only WORD] [--json FILE]

Two kinds of rows. A *part* is one pure function on the facts of a usual request. A *path* is the whole program from
`data_received` to `transport.write`: the real `Inbound`, `Site`, `Walk`, `Pool` on a real event loop, with transports
that copy nothing and call no kernel. A path's cost is what we add to the syscalls that no proxy can do without. As
viewers do, each one repeats its fields from request to request, but for the rows that say otherwise.

Each number is the least CPU time of the process (not wall time) of many repeats, so that busy neighbours on the
machine do not show; still, compare runs on one machine only, one right after the other.
"""

import argparse
import asyncio
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count, repeat
from pathlib import Path
from typing import cast

import uvloop

from edgefn.configuration.loader import load
from edgefn.functions.callee import Callee
from edgefn.model.hook import Event
from edgefn.model.message import BytesBody, Request, Response, Viewer, no_body
from edgefn.model.origin import Origin
from edgefn.model.settings import HookSettings, Settings, ViewerLimits
from edgefn.model.trail import Result, Trail
from edgefn.node import world
from edgefn.node.collecting import settle
from edgefn.node.files import Files
from edgefn.node.parts import CalleeOf, Lasting, site_of
from edgefn.proxy.background import Background
from edgefn.proxy.flights import Flights
from edgefn.proxy.site import Site
from edgefn.rules.contract import judge_request
from edgefn.rules.event import EventConfig, request_event
from edgefn.rules.forwarding import Forwarder
from edgefn.rules.quotas import quotas
from edgefn.rules.response_headers import Dressing, from_origin
from edgefn.rules.viewer_headers import GeoFacts
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock
from edgefn.wire.answer_head import Framing, answer_head
from edgefn.wire.connections import Connections
from edgefn.wire.inbound import Inbound
from edgefn.wire.outbound import OriginConnection
from edgefn.wire.pool import Pool
from edgefn.wire.request_head import request_head
from edgefn.wire.response_head import read_head
from edgefn.wire.viewer_head import HeadReader

CONNECTIONS = 64
_SHORT = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
_BROWSER = (
    b"GET %b?size=large&page=2 HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"\r\nsec-ch-ua-mobile: ?0\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nReferer: https://shop.example.com/\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    b"Cookie: session=8f1c; theme=dark\r\n\r\n"
)
_ANOTHER = _BROWSER.replace(b"8f1c", b"%%d")
_ANSWER_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: %b\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 1024\r\nConnection: keep-alive\r\n"
) % formatdate(usegmt=True).encode()  # a day-old answer would not be fresh
_ANSWER = _ANSWER_HEAD + b"\r\n" + b"x" * 1024
CACHEABLE = _ANSWER_HEAD + b"Cache-Control: max-age=3600\r\n\r\n" + b"x" * 1024
_FILE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: %b\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: 1024\r\nLast-Modified: Fri, 20 Nov 2026 23:00:00 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "6a5f3b10-400"\r\nCache-Control: max-age=86400\r\nX-Origin-Id: 0123456789abcdef\r\n'
    b"Accept-Ranges: bytes\r\n\r\n"
) % formatdate(usegmt=True).encode() + b"x" * 1024
_LARGE = CACHEABLE[:-1024].replace(b"Length: 1024", b"Length: 102400") + b"x" * 102_400

_CONFIG = """\
location: ben1
listen: 127.0.0.1:8080
admin: off
access_log: off
origins:
  app: {url: "http://127.0.0.1:9000", keepalive_timeout: 60s}
routes:
  - {path: /plain, origin: app, cache: {policy: CachingDisabled}}
  - {path: /other/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: "*", origin: app}
"""


class _Silent:
    """A transport that takes everything and sends nothing."""

    def __init__(self, written: Callable[[], None]) -> None:
        self._written = written

    def write(self, data: bytes) -> None:
        del data
        self._written()

    def writelines(self, pieces: list[bytes]) -> None:
        del pieces
        self._written()

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 40_000) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Do nothing."""

    close = pause_reading = resume_reading = abort


def _attach(protocol: asyncio.Protocol, written: Callable[[], None]) -> None:
    protocol.connection_made(cast("asyncio.Transport", _Silent(written)))


class _Origin:
    """Stands where `Pool` opens connections; answers each request on the next turn of the loop."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def connect(self, origin: Origin, attempt: int, protocol: Callable[[], OriginConnection]) -> OriginConnection:
        del origin, attempt
        connection = protocol()
        loop = asyncio.get_running_loop()

        def asked() -> None:
            loop.call_soon(connection.data_received, self._answer)

        _attach(connection, asked)
        return connection

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class WholePath:
    """A whole path: every viewer sends `asked` again as soon as it has its answer; `answer` is the origin's.

    `%d` in what is asked for is another number each time.
    """

    asked: bytes
    answer: bytes

    def requests(self) -> Iterator[bytes]:
        """Yield one request after the other."""
        if b"%d" not in self.asked:
            return repeat(self.asked)
        return (self.asked % number for number in count())

    async def run(self, requests: int, repeats: int, made: "Callable[[Pool], Site] | None" = None) -> float:
        """Return the least CPU time of a request, in microseconds; `made` makes a site with hooks."""
        pool = Pool()
        pool._connector = _Origin(self.answer)  # type: ignore[assignment]  # noqa: SLF001  # no seam there but this
        site = _hookless(pool) if made is None else made(pool)
        viewers, asked = Connections(), self.requests()
        try:
            await self._serve(site, viewers, asked, CONNECTIONS)
            return min([await self._timed(site, viewers, asked, requests) for _ in range(repeats)])
        finally:
            await viewers.drain(0)
            await pool.close()

    async def _timed(self, site: Site, viewers: Connections, asked: Iterator[bytes], requests: int) -> float:
        began = time.process_time()
        await self._serve(site, viewers, asked, requests)
        return (time.process_time() - began) / requests * 1e6

    async def _serve(self, site: Site, viewers: Connections, asked: Iterator[bytes], requests: int) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        left = requests

        def viewer() -> Callable[[], None]:
            inbound = Inbound(site, ViewerLimits(), viewers)

            def again() -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    done.set_result(None)
                elif left > 0:
                    loop.call_soon(inbound.data_received, next(asked))

            _attach(inbound, again)
            return again

        left += CONNECTIONS
        for again in [viewer() for _ in range(CONNECTIONS)]:
            again()
        await done


def site_with(settings: Settings, callee_of: CalleeOf, pool: Pool) -> Site:
    """Return the site of `settings`, whose hooks call what `callee_of` says."""
    lasting = Lasting(
        sender=pool,
        stock=Stock(MemoryStore(settings.cache_memory), LocalLedger(), None, world.steady),
        flights=Flights(),
        background=Background(),  # nothing here grows stale, so it stays without work
        pseudonym=f"{world.pseudonym()}.cloudfront.net",
        access_log=_unlogged,
    )
    return site_of(settings, callee_of, lasting, Files(_nowhere))


def _hookless(pool: Pool) -> Site:
    return site_with(load(_CONFIG, filename="bench.yaml", base="."), _without_hooks, pool)


def _without_hooks(hook: HookSettings) -> Callee:
    raise AssertionError(f"no route here has a hook, and yet: {hook}")


def _nowhere(address: str) -> GeoFacts | None:
    del address
    return None


def _unlogged(line: str) -> None:
    raise AssertionError(f"the access log is off, and yet: {line}")


PATHS = {
    "path: proxied, short request": WholePath(_SHORT % b"/plain", _ANSWER),
    "path: proxied, browser's request": WholePath(_BROWSER % b"/plain", _ANSWER),
    "path: fresh hit, short request": WholePath(_SHORT % b"/hit", CACHEABLE),
    "path: fresh hit, browser's request": WholePath(_BROWSER % b"/hit", CACHEABLE),
    "path: fresh hit, browser's, another field each time": WholePath(_ANOTHER % b"/hit", CACHEABLE),
    "path: miss, stored, short request": WholePath(_SHORT % b"/miss/%d", _FILE),
    "path: fresh hit of 100 KB, short request": WholePath(_SHORT % b"/hit", _LARGE),
}


def parts() -> dict[str, Callable[[], object]]:
    """Return each pure part, ready to be called."""
    settings = load(_CONFIG, filename="bench.yaml", base=".")
    route, origin, limits = settings.routes[0], settings.origins["app"], ViewerLimits()
    pseudonym = f"{world.pseudonym()}.cloudfront.net"
    forwarder, dressing = Forwarder(route, pseudonym), Dressing(pseudonym, "BEN1-P1")
    short, browser = _SHORT % b"/plain", _BROWSER % b"/plain"
    date, shown = "Fri, 20 Nov 2026 23:00:00 GMT", world.request_id()
    came = read_head(_ANSWER_HEAD)
    stored = from_origin(came.headers)
    dressed = Response(200, "OK", dressing.to_viewer(stored, Result.MISS, shown, date), BytesBody(b"x" * 1024))
    exposed, reader = _request(browser), HeadReader()
    config, event = EventConfig("d1.cloudfront.net", "D1"), Event.VIEWER_REQUEST
    allowed = quotas(settings.quotas, event)
    told = request_event(event, config, exposed, None)
    returned = json.dumps(json.loads(told)["Records"][0]["cf"]["request"]).encode()
    return {
        "viewer's head, short": lambda: HeadReader().read(short, limits),
        "viewer's head, browser": lambda: HeadReader().read(browser, limits),
        "viewer's head, browser, same fields again": lambda: reader.read(browser, limits),
        "request made, short (head, id, trail)": lambda: _request(short),
        "request id": world.request_id,
        "to origin, short (request made included)": lambda: forwarder.to_origin(_request(short), origin),
        "to origin, browser (request made included)": lambda: forwarder.to_origin(_request(browser), origin),
        "request head out, browser": lambda: request_head(exposed, ""),
        "response head in": lambda: read_head(_ANSWER_HEAD),
        "response headers from origin (head in included)": lambda: from_origin(read_head(_ANSWER_HEAD).headers),
        "response dressed": lambda: dressing.to_viewer(stored, Result.MISS, shown, date),
        "answer's head out": lambda: answer_head(dressed, Framing.LENGTH, 1024, ""),
        "hook event made, browser": lambda: request_event(event, config, exposed, None),
        "hook result judged, browser": lambda: judge_request(event, exposed, None, returned, allowed),
    }


def _request(block: bytes) -> Request:
    head = HeadReader().read(block, ViewerLimits())
    viewer = Viewer("127.0.0.1", 40_000)
    return Request(head.method, head.path, head.query, head.headers, no_body(), viewer, world.request_id(), Trail())


def part_cost(part: Callable[[], object], repeats: int, calls: int = 2_000) -> float:
    """Return the least CPU time of a call, in microseconds."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            part()
        best = min(best, time.process_time() - began)
    return best / calls * 1e6


async def measure(only: str, repeats: int) -> dict[str, float]:
    """Return the cost of each row whose name has `only` in it."""
    costs = {name: part_cost(part, repeats) for name, part in parts().items() if only in name}
    for name, path in PATHS.items():
        if only in name:
            costs[name] = await path.run(1_000, 5 * repeats)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="the rows with this in their name")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settle()  # as a running location does
    costs = uvloop.run(measure(given.only, given.repeats))
    print(f"Python {platform.python_version()}, {platform.machine()}; least of {given.repeats} repeats")
    for name, cost in costs.items():
        print(f"{name:52}{cost:9.2f} us")
    told = json.dumps({name: round(cost, 3) for name, cost in costs.items()})
    if given.json:
        given.json.write_text(told)
    else:
        print(told)


if __name__ == "__main__":
    main()
