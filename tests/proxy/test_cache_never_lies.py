"""Whatever happens in whatever order, nobody gets a response that is older than it may be, or not of one piece."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import Line
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from tests.proxy.cache_stage import Stage, Told, asking, controlled, saying

LIFETIME, STALE = 10, 20
POLICY = CachePolicy(serve_stale=STALE, stale_retry=1, honour_request=True)


@dataclass
class World:
    """An origin whose one page changes, and a note of when each of its versions was last confirmed to anybody."""

    stage: Stage = field(default_factory=lambda: Stage(POLICY))
    version: int = 0
    is_down: bool = False
    told_at: dict[int, float] = field(default_factory=dict)

    def page(self, version: int) -> str:
        return f"<{version}>" * 5

    def says(self, request: Request) -> Response:
        if self.is_down:
            raise OriginError(OriginFailure.CONNECT, "down")
        self.told_at[self.version] = self.stage.clock()
        lines: list[Line] = [("ETag", f'"{self.version}"'), controlled(f"max-age={LIFETIME}")]
        if request.headers.get("if-none-match") == f'"{self.version}"':
            return saying("", *lines, status=304)
        text = self.page(self.version)
        if request.method == "GET" and request.headers.get("range") == "bytes=0-3":
            return saying(text[:4], ("Content-Range", f"bytes 0-3/{len(text)}"), *lines, status=206)
        if request.method == "HEAD":
            return saying("", ("Content-Length", str(len(text))), *lines)
        return saying(text, *lines)

    async def does(self, step: str) -> None:
        match step.split():
            case ["waits", seconds]:
                self.stage.clock.passes(float(seconds))
            case ["changes"]:
                self.version += 1
            case ["breaks"]:
                self.is_down = True
            case ["recovers"]:
                self.is_down = False
            case ["posts"] if not self.is_down:
                self.version += 1
                await self.stage.get(asking(method="POST"))
                self.told_at = {}
            case ["asks", *how]:
                await self.asks(*how)

    async def asks(self, how: str = "") -> None:
        wishes: dict[str, tuple[Line, ...]] = {
            "part": (("Range", "bytes=0-3"),),
            "again": (("If-None-Match", f'"{self.version}"'),),
            "anew": (controlled("no-cache"),),
        }
        method = "HEAD" if how == "head" else "GET"
        told = await self.stage.get_or_error(asking("/a", *wishes.get(how, ()), method=method))
        if isinstance(told, str):
            assert self.is_down
        elif told.status != 304:
            self.judge(told, how)

    def judge(self, told: Told, how: str) -> None:
        tag = int((told.headers.get("etag") or "").strip('"'))
        if how != "head":
            assert told.text == (self.page(tag)[:4] if told.status == 206 else self.page(tag))
        assert (told.status == 206) <= (how == "part")
        age = self.stage.clock() - self.told_at[tag]
        assert age < LIFETIME or (self.is_down and age < LIFETIME + STALE) or told.reason == "stale-until-retry"
        assert how != "anew" or age == 0


STEPS = ["changes", "breaks", "recovers", "posts", "waits 0.5", "waits 4", "waits 11", "waits 25"]
ASKS = ["asks", "asks part", "asks again", "asks anew", "asks head"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*STEPS, *ASKS, *ASKS]), max_size=25))
def test_whatever_happens(steps: list[str]) -> None:
    async def story() -> None:
        world = World()
        world.stage.origin.says = world.says
        for step in steps:
            await world.does(step)
        assert len(world.stage.flights) == 0

    asyncio.run(story())
