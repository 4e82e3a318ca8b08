"""Connections and requests that are over leave nothing for the collector, which looks at everything but seldom."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website
from tests.scenarios.edge import Edge
from tests.scenarios.kept_alive import connected

CONFIG = """
origins: {app: {url: "http://{origin}"}}
functions: {door: {path: door.js, runtime: cloudfront-js-2.0}}
routes:
  - {path: /behind/*, origin: app, cache: {policy: CachingDisabled}, hooks: {viewer-request: door}}
  - {path: /passed/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: "*", origin: app}
"""


@pytest.mark.parametrize("route", ["behind", "passed", "cached"])
@pytest.mark.parametrize("ending", ["whole", "aborted"])
async def test_nothing_of_ours_is_left_for_the_collector(route: str, ending: str, tmp_path: Path) -> None:
    (tmp_path / "door.js").write_text("function handler(event) { return event.request; }")
    asked = asyncio.Queue[SeenRequest]()

    async def waits(conversation: Conversation, seen: SeenRequest) -> None:
        asked.put_nowait(seen)
        await conversation.stall()

    async with Website({f"/{route}/slow": waits}) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge:
        gc.collect()
        gc.disable()
        try:
            for number in range(20):
                async with connected(edge) as viewer:
                    for path in (f"/{route}/{number}", f"/{route}/a", f"/{route}/a"):
                        assert (await viewer.ask(path))[1] == path.encode()
                    if ending == "aborted":
                        viewer.say(f"/{route}/slow")
                        await asyncio.wait_for(asked.get(), 10)
                        viewer.reset()
            assert (await edge.get("/cached/b")).status == 200  # so the last connection's end has been seen
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            ours = [type(each) for each in gc.garbage if type(each).__module__.startswith("edgefn")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    found = Counter(each.__qualname__ for each in ours)
    assert not [name for name, count in found.items() if count >= 10], found
