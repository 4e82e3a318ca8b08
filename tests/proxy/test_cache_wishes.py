"""What viewers ask of the cache counts where the route says so (RFC 9111 section 5.2.1)."""

import pytest

from edgefn.model.errors import NotStoredError
from edgefn.model.headers import Line
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from tests.proxy.cache_stage import FRESH, Stage, asking, controlled

TAG = ("ETag", '"x"')


async def holding(*lines: Line, honour: bool = True) -> Stage:
    stage = Stage(CachePolicy(honour_request=honour))
    stage.says("old", *(lines or (FRESH,)))
    await stage.get()
    stage.says("new", FRESH)
    return stage


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ("max-age=10", "old"), ("max-age=9", "new"), ("max-age=0", "new"), ("min-fresh=50", "old"),
        ("min-fresh=51", "new"), ("no-cache", "new"), ("max-stale=5", "old"), ("no-store", "old"),
        ("unknown", "old"), ("only-if-cached", "old"),
    ],
)  # fmt: skip
async def test_a_viewer_may_want_it_fresher_than_fresh(wish: str, text: str) -> None:
    stage = await holding()
    assert (await stage.later(10, asking("/a", controlled(wish)))).text == text
    assert stage.cache.serve_now(asking("/a", controlled(wish))) is None  # that needs a closer look
    assert (await stage.get()).text == ("old" if wish == "no-store" else text)


async def test_of_two_that_tell_the_same_old_date_the_one_that_came_later_counts() -> None:
    stage = await holding(FRESH, ("Date", "Thu, 28 May 2026 20:26:10 GMT"))  # half a minute before NOW
    stage.clock.passes(0.9)
    stage.says("new", FRESH, ("Date", "Thu, 28 May 2026 20:26:10 GMT"))
    await stage.get(asking("/a", controlled("no-cache")))
    stage.clock.passes(0.2)  # into the next second, but not as far into it
    stage.says("newer", FRESH, ("Date", "Thu, 28 May 2026 20:26:10 GMT"))
    assert (await stage.get(asking("/a", controlled("no-cache")))).reason == "stored"
    assert (await stage.get()).text == "newer"


async def test_where_it_does_not_count_it_forces_nothing() -> None:
    stage = await holding(honour=False)
    for wish in ("no-cache", "max-age=0", "min-fresh=100"):
        assert (await stage.get(asking("/a", controlled(wish)))).result is Result.HIT
    assert (await stage.get(asking("/a", ("Pragma", "no-cache")))).result is Result.HIT
    assert (await stage.later(60, asking("/a", controlled("only-if-cached, max-stale")))).text == "new"


@pytest.mark.parametrize(("wish", "text"), [("max-stale", "old"), ("max-stale=10", "old"), ("max-stale=9", "new")])
async def test_a_viewer_may_take_it_stale(wish: str, text: str) -> None:
    stage = await holding()
    told = await stage.later(70, asking("/a", controlled(wish)))
    assert told.text == text
    if text == "old":
        assert (told.reason, told.cache_status) == ("max-stale", "edgefn; hit; ttl=-10; detail=max-stale")


@pytest.mark.parametrize("forbidding", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
async def test_but_not_where_the_origin_forbids_it(forbidding: str) -> None:
    stage = await holding(controlled(f"max-age=60, {forbidding}"), TAG)
    assert (await stage.later(70, asking("/a", controlled("max-stale")))).text == "new"


async def test_pragma_counts_without_cache_control_only() -> None:
    stage = await holding()
    pragma = ("Pragma", "no-cache")
    assert (await stage.get(asking("/a", pragma, controlled("max-age=99")))).text == "old"
    told = await stage.get(asking("/a", pragma))
    assert (told.text, told.cache) == ("new", "request")


async def test_a_demanded_validation_is_one() -> None:
    stage = await holding(FRESH, TAG)
    stage.says("", TAG, status=304)
    told = await stage.get(asking("/a", controlled("no-cache")))
    assert (told.text, told.result) == ("old", Result.REFRESH_HIT)
    assert told.cache_status == "edgefn; fwd=request; fwd-status=304"


async def test_a_demanded_validation_that_fails_is_not_covered_up() -> None:
    stage = await holding(controlled("max-age=60, stale-if-error=60"))
    stage.fails()
    assert await stage.get_or_error(asking("/a", controlled("no-cache"))) == "gone"
    stage.says("oh", status=503)
    assert (await stage.get(asking("/a", controlled("max-age=0"), ("A", "b")))).text == "old"
    assert (await stage.later(1, asking("/a", controlled("max-age=0")))).status == 503


async def test_what_does_not_change_is_not_validated_on_reload() -> None:
    stage = await holding(controlled("max-age=60, immutable"))
    assert (await stage.later(5, asking("/a", controlled("max-age=0")))).text == "old"
    assert (await stage.get(asking("/a", controlled("no-cache")))).text == "new"


async def test_only_if_cached_never_reaches_the_origin() -> None:
    stage = await holding()
    wish = controlled("only-if-cached")
    assert (await stage.get(asking("/a", wish))).text == "old"
    with pytest.raises(NotStoredError):
        await stage.get(asking("/b", wish))
    with pytest.raises(NotStoredError):
        await stage.later(60, asking("/a", wish))
    assert (await stage.get(asking("/a", controlled("only-if-cached, max-stale")))).text == "old"
    assert len(stage.origin.asked) == 1
