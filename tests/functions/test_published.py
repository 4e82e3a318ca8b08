"""What one worker runs of a catalog: staged, flipped at once, rolled back by itself, and let go when idle."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgefn.functions import published
from edgefn.functions.published import Key, OpeningError, Published
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.headers import Headers
from edgefn.model.message import Request, Viewer, no_body
from edgefn.model.publishing import (
    Alias,
    Blob,
    Catalog,
    Manifest,
    PublishedFunction,
    RollbackRule,
    Sticky,
    StickyBy,
    Target,
)
from edgefn.model.settings import FunctionSettings
from edgefn.model.trail import Trail
from edgefn.sandbox.base import Code, Invocation, Outcome, Returned, Usage

CODE = Code("us-east-1.f", "1", "arn", "/", "nodejs20.x", "index.handler", 5.0, 128, {})
FUNCTION = FunctionSettings("f", "", "nodejs20.x")
BLOB = Blob("0" * 64, 1)
HALVES = (Target(1, 5_000), Target(2, 5_000))


class FakeSandbox:
    """Ends its events when the test says so."""

    stopping_is_cheap = False

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.closed = asyncio.Event()

    async def run(self, _invocation: Invocation) -> Outcome:
        await self.free.wait()
        return Returned(b"{}", Usage(0.1))

    async def close(self) -> None:
        self.free.set()
        self.closed.set()


class Stage:
    """A worker with an opener that opens all versions but those in `broken`."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.hanging: set[int] = set()
        self.trouble: Exception = OpeningError("SyntaxError in index.js:1")
        self.misfits: set[str] = set()
        self.sandboxes: dict[int, FakeSandbox] = {}
        self.tried: list[int] = []
        self.release = asyncio.Event()
        self.opened: list[int] = []
        self.reports: list[str] = []
        self.clock = 100.0
        self.published = Published(self, lambda: self.clock, self.reports.append)

    async def open(self, manifest: Manifest) -> Runner:
        version = manifest.version
        if version in self.broken:
            raise self.trouble
        if version in self.hanging:
            self.tried.append(version)
            await self.release.wait()
        self.opened.append(version)
        self.sandboxes[version] = FakeSandbox()
        around = Surroundings(lambda: "id", lambda: "now", lambda line: None)
        return Runner("f", replace(CODE, version=str(version)), self.sandboxes[version], around)

    async def want(self, *keys: Key) -> None:
        await self.published.want(dict.fromkeys(keys, self.flaws))

    def flaws(self, settings: FunctionSettings) -> list[str]:
        return ["too slow for viewers"] if settings.environment["NUMBER"] in self.misfits else []

    def version(self, name: str = "live", request_id: str = "r", **headers: str) -> str | None:
        runner = self.published.pointer("f", name).choose(asked(request_id, **headers))
        return None if runner is None else runner.code.version


def asked(request_id: str = "r", **headers: str) -> Request:
    lines = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    return Request("GET", "/", None, lines, no_body(), Viewer("127.0.0.1", 1, "http"), request_id, Trail())


def catalog(aliases: Mapping[str, Alias], versions: int = 4, generation: int = 1) -> Catalog:
    manifests = {number: manifest_of(number) for number in range(1, versions + 1)}
    function = PublishedFunction("f", versions=manifests, aliases=aliases, last_version=versions)
    return Catalog({"f": function}, generation=generation)


def manifest_of(number: int) -> Manifest:
    return Manifest(replace(FUNCTION, environment={"NUMBER": str(number)}), number, f"{number:064x}", BLOB)


def live(*targets: Target, previous: int | None = None, rollback: RollbackRule | None = None) -> dict[str, Alias]:
    return {"live": Alias("f", "live", targets, previous=previous, rollback=rollback)}


async def test_a_name_has_no_version_until_one_is_published_under_it() -> None:
    stage = Stage()
    await stage.want(("f", "live"), ("f", "2"))
    assert (stage.version(), stage.version("2")) == (None, None)
    applied = await stage.published.apply(catalog(live(Target(1))))
    assert (stage.version(), stage.version("2")) == ("1", "2")
    assert applied.versions == {"f:live": ("1",), "f:2": ("2",)}
    assert sorted(stage.opened) == [1, 2]  # and none that nobody asks for


async def test_events_end_on_the_version_that_they_began_with() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(Target(1))))
    before = stage.published.pointer("f", "live").choose(asked())
    assert before is not None
    running = asyncio.create_task(before.run(b"{}", None))
    await asyncio.sleep(0)
    await stage.published.apply(catalog(live(Target(2))))
    assert stage.version() == "2"
    assert not stage.sandboxes[1].closed.is_set()
    stage.sandboxes[1].free.set()
    assert isinstance(await running, Returned)
    async with asyncio.timeout(5):
        await stage.sandboxes[1].closed.wait()


async def test_files_that_are_sealed_anew_make_no_other_version() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(Target(1))))
    resealed = catalog(live(Target(1)), generation=2)
    versions = {1: replace(manifest_of(1), blob=Blob("1" * 64, 2, seal="another"))}
    function = replace(resealed.functions["f"], versions=versions)
    await stage.published.apply(replace(resealed, functions={"f": function}))
    assert (stage.opened, stage.version(), stage.sandboxes[1].closed.is_set()) == ([1], "1", False)


async def test_a_version_that_does_not_start_leaves_the_alias_where_it_was() -> None:
    stage = Stage()
    stage.broken.add(2)
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(Target(1))))
    applied = await stage.published.apply(catalog(live(Target(2), previous=1), generation=2))
    assert stage.version() == "1"
    assert [(failure.version, failure.why) for failure in applied.failed] == [(2, "SyntaxError in index.js:1")]
    assert not stage.sandboxes[1].closed.is_set()
    stage.broken.clear()
    applied = await stage.published.apply(catalog(live(Target(2), previous=1), generation=3))
    assert (stage.version(), applied.failed) == ("2", ())


async def test_a_version_whose_opening_hangs_holds_up_the_others_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "_OPENING", 0.05)
    stage = Stage()
    stage.hanging.add(2)
    await stage.want(("f", "live"), ("f", "3"))
    async with asyncio.timeout(5):
        await stage.published.apply(catalog(live(Target(1))))
        applied = await stage.published.apply(catalog(live(Target(2)), generation=2))
    assert (stage.version(), stage.version("3"), applied.generation) == ("1", "3", 2)
    assert [(failure.version, failure.why) for failure in applied.failed] == [(2, "it was not open after 0.05 s")]


async def test_whatever_goes_wrong_with_a_version_the_worker_goes_on() -> None:
    stage = Stage()
    stage.broken.add(2)
    stage.trouble = RuntimeError("can't start new thread")
    await stage.want(("f", "live"), ("f", "3"))
    await stage.published.apply(catalog(live(Target(1))))
    applied = await stage.published.apply(catalog(live(Target(2)), generation=2))
    assert (stage.version(), stage.version("3"), applied.generation) == ("1", "3", 2)
    assert [failure.why for failure in applied.failed] == [
        "opening it failed inside edgefn (RuntimeError); the log says how"
    ]


async def test_a_version_that_may_not_stand_at_its_hook_does_not_go_live() -> None:
    stage = Stage()
    stage.misfits.add("2")
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(Target(1))))
    applied = await stage.published.apply(catalog(live(Target(2)), generation=2))
    assert (stage.version(), [failure.why for failure in applied.failed]) == ("1", ["too slow for viewers"])


async def test_the_previous_version_stays_warm() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    for number, previous in ((1, None), (2, 1), (3, 2)):
        await stage.published.apply(catalog(live(Target(number), previous=previous)))
    async with asyncio.timeout(5):
        await stage.sandboxes[1].closed.wait()
    assert not stage.sandboxes[2].closed.is_set()
    await stage.published.apply(catalog(live(Target(2), previous=3)))
    assert (stage.version(), stage.opened) == ("2", [1, 2, 3])


async def test_two_versions_share_the_requests_and_a_viewer_can_stick_to_one() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    alias = Alias("f", "live", HALVES, Sticky(StickyBy.COOKIE, "user"))
    await stage.published.apply(catalog({"live": alias}))
    assert {stage.version(request_id=str(number)) for number in range(50)} == {"1", "2"}
    same = {stage.version(request_id=str(number), Cookie="a=1; user=anna") for number in range(50)}
    assert len(same) == 1
    by_user = {stage.version(Cookie=f"user=u{number}") for number in range(50)}
    assert by_user == {"1", "2"}


async def test_a_version_that_fails_too_often_is_taken_out_until_the_alias_is_changed() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    rule = RollbackRule(error_rate=0.5, invocations=4, window=60)
    split = catalog(live(*HALVES, previous=1, rollback=rule))
    await stage.published.apply(split)
    pointer = stage.published.pointer("f", "live")
    newer = next(runner for runner in pointer.runners if runner.code.version == "2")
    for _ in range(3):
        pointer.count(newer, failed=True)
    stage.clock += 61  # too long ago to count
    for failed in (True, False, True, True):
        assert "2" in pointer.versions
        pointer.count(newer, failed=failed)
    assert {stage.version(request_id=str(number)) for number in range(50)} == {"1"}
    assert len(stage.reports) == 1
    assert stage.reports[0].startswith("f:live rolled back to f:1: f:2 failed 3 of 4 invocations (75.0%)")
    applied = await stage.published.apply(replace(split, generation=2))
    assert (pointer.versions, list(applied.rolled_back)) == (("1",), ["f:live"])
    applied = await stage.published.apply(catalog(live(Target(1), Target(3, 100), rollback=rule), generation=3))
    assert (pointer.versions, applied.rolled_back) == (("1", "3"), {})


async def test_the_last_good_version_is_the_stable_one_of_two_or_the_one_before() -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(*HALVES, previous=3)))
    pointer = stage.published.pointer("f", "live")
    first, second, before = pointer.runners
    assert pointer.before(second) is first
    assert pointer.before(first) is before
    await stage.published.apply(catalog(live(Target(1))))
    assert pointer.before(pointer.runners[0]) is None


async def test_what_no_hook_names_any_more_is_closed() -> None:
    stage = Stage()
    await stage.want(("f", "live"), ("f", "2"))
    await stage.published.apply(catalog(live(Target(1))))
    await stage.want(("f", "live"))
    async with asyncio.timeout(5):
        await stage.sandboxes[2].closed.wait()
    assert stage.version() == "1"
    await stage.published.close()
    assert stage.sandboxes[1].closed.is_set()


async def healing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Task[None], asyncio.Queue[None]]:
    """Have what may pass tried again at once; return the task, and what is put in when something is different."""
    monkeypatch.setattr(published, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(published, "LAST_RETRY", 0.001)
    told: asyncio.Queue[None] = asyncio.Queue()
    return asyncio.create_task(stage.published.heal(lambda: told.put_nowait(None))), told


async def test_what_may_pass_is_tried_again_by_itself_and_said_to_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    await stage.want(("f", "live"), ("f", "2"))
    await stage.published.apply(catalog(live(Target(1))))
    stage.broken, stage.trouble = {3}, OpeningError("the disk is full", may_pass=True)
    task, told = await healing(stage, monkeypatch)
    failed = (await stage.published.apply(catalog(live(Target(3)), generation=2))).failed
    assert [(each.version, each.why) for each in failed] == [(3, "the disk is full")]
    assert stage.version() == "1"
    stage.trouble = OpeningError("the files are missing", may_pass=True)
    async with asyncio.timeout(10):
        await told.get()
        assert [each.why for each in stage.published.running.failed] == ["the files are missing"]
        stage.broken.clear()
        await told.get()
    assert (stage.version(), stage.published.running.failed) == ("3", ())
    assert stage.reports[-1] == "f:3 could be opened at last"
    assert len(stage.reports) == 3  # a reason is told once, however often it is tried
    assert stage.published.running.generation == 2
    task.cancel()
    await stage.published.close()


async def test_what_is_the_fault_of_a_version_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    await stage.want(("f", "live"), ("f", "2"))
    stage.broken = {1}
    task, told = await healing(stage, monkeypatch)
    await stage.published.apply(catalog(live(Target(1))))
    assert not stage.published._passing
    stage.broken, stage.trouble = {3}, OpeningError("no files", may_pass=True)
    await stage.published.apply(catalog(live(Target(3)), generation=2))
    stage.trouble = OpeningError("SyntaxError")
    async with asyncio.timeout(10):
        await told.get()  # what was missing is there now, and shows to be broken
    assert {each.why for each in stage.published.running.failed} == {"SyntaxError"}
    assert not stage.published._passing
    task.cancel()
    await stage.published.close()


async def test_what_is_tried_again_holds_up_no_catalog_and_gives_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    await stage.want(("f", "live"))
    await stage.published.apply(catalog(live(Target(1))))
    stage.broken, stage.trouble = {2}, OpeningError("no files", may_pass=True)
    task, told = await healing(stage, monkeypatch)
    await stage.published.apply(catalog(live(Target(2)), generation=2))
    stage.broken, stage.hanging = set(), {2}
    async with asyncio.timeout(10):
        while 2 not in stage.tried:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await stage.published.apply(catalog(live(Target(3)), generation=3))
    assert stage.version() == "3"
    stage.release.set()
    async with asyncio.timeout(10):
        while 2 not in stage.sandboxes:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await stage.sandboxes[2].closed.wait()  # nobody needs it any more
    assert (stage.version(), stage.published.running.failed, told.qsize()) == ("3", (), 0)
    task.cancel()
    await stage.published.close()
