"""What nobody needs any more: old versions, and blobs that nothing refers to."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.publishing import (
    Alias,
    Catalog,
    Garbage,
    LocationState,
    LocationStatus,
    PublishedFunction,
    Target,
    Use,
)
from edgefn.rules import garbage
from tests.fakes.published import draft


def catalog_of(number: int, aliases: dict[str, Alias] | None = None) -> Catalog:
    versions = {
        version: replace(draft(code=f"{version:02}"), version=version, published=float(version))
        for version in range(1, number + 1)
    }
    function = PublishedFunction("hello", draft(code="draft"), versions, aliases or {}, number)
    return Catalog({"hello": function}, generation=7)


def test_the_versions_that_somebody_needs_stay() -> None:
    live = Alias("hello", "live", (Target(4, 9_000), Target(7, 1_000)), previous=3)
    catalog = catalog_of(30, {"live": live})
    uses = [Use("hello", "5", "route /x"), Use("hello", "live", "route *"), Use("other", "9", "route /y")]
    gone = garbage.unneeded(catalog, uses, [("hello", 6), ("other", 8)], 18.0)
    assert gone == {"hello": [1, 2, *range(8, 19)]}
    left = garbage.without_versions(catalog, gone).functions["hello"]
    assert sorted(left.versions) == [3, 4, 5, 6, 7, *range(19, 31)]
    assert left.last_version == 30
    assert garbage.without_versions(catalog, {}) is catalog


def test_one_commit_deletes_no_more_than_it_can_hold() -> None:
    gone = garbage.unneeded(catalog_of(1_000), (), (), 2_000.0)
    assert len(gone["hello"]) == 400


def test_what_locations_run_is_what_those_say_that_are_not_retired() -> None:
    statuses = [
        LocationStatus("a", 1, 0.0, running={"hello:live": 2}),
        LocationStatus("b", 1, 0.0, LocationState.DRAINING, running={"hello:live": 3}),
        LocationStatus("c", 1, 0.0, LocationState.RETIRED, running={"hello:live": 4}),
    ]
    assert garbage.running_versions(statuses) == {("hello", 2), ("hello", 3)}


def digest(code: str) -> str:
    return draft(code=code).blob.digest


def test_blobs_that_nothing_refers_to_are_marked_and_unmarked_when_something_does() -> None:
    catalog = catalog_of(2)
    blobs = [digest("01"), digest("02"), digest("draft"), "f" * 64]
    marked = garbage.marked(catalog, blobs, 100.0)
    assert marked.garbage == {"f" * 64: Garbage(100.0, 8)}
    assert garbage.marked(marked, blobs, 200.0) is marked
    assert garbage.marked(marked, blobs[:3], 200.0).garbage == {}
    needed = replace(catalog, garbage={digest("01"): Garbage(1.0, 1)})
    assert garbage.marked(needed, blobs[:3], 200.0).garbage == {}


def test_a_blob_is_ripe_when_it_is_old_and_every_active_location_knows() -> None:
    catalog = replace(catalog_of(1), garbage={"f" * 64: Garbage(100.0, 5)})
    behind = LocationStatus("a", 4, 0.0)
    there = LocationStatus("b", 5, 0.0)
    retired = LocationStatus("c", 1, 0.0, LocationState.RETIRED)
    for statuses, now, ripe in (
        ([there, retired], 160.0, True),
        ([there, behind], 160.0, False),
        ([there], 159.0, False),
        ([], 160.0, True),
    ):
        assert bool(garbage.ripe(catalog, statuses, now, 60.0)) is ripe


def test_who_deletes_a_blob_has_it_alone_until_the_lease_ends() -> None:
    catalog = replace(catalog_of(1), garbage={"f" * 64: Garbage(1.0, 1), "e" * 64: Garbage(1.0, 1)})
    condemned, ours = garbage.condemned(catalog, ["f" * 64, "d" * 64], 180.0, 300.0)
    assert ours == ("f" * 64,)
    assert garbage.condemned(condemned, ["f" * 64], 299.0, 400.0) == (condemned, ())
    assert garbage.condemned(condemned, ["f" * 64], 300.0, 400.0)[1] == ("f" * 64,)
    assert garbage.ripe(condemned, [], 299.0, 1.0) == ("e" * 64,)
    assert garbage.ripe(condemned, [], 300.0, 1.0) == ("e" * 64, "f" * 64)
    assert garbage.is_being_deleted(condemned, "f" * 64, 299.0)
    assert not garbage.is_being_deleted(condemned, "f" * 64, 300.0)
    assert not garbage.is_being_deleted(condemned, "d" * 64, 299.0)
    assert garbage.marked(condemned, [], 299.0).garbage == {"f" * 64: Garbage(1.0, 1, 300.0)}
    assert garbage.forgotten(condemned, ["f" * 64]).garbage == {"e" * 64: Garbage(1.0, 1)}


@given(
    st.integers(1, 30),
    st.sets(st.integers(1, 30)),
    st.sets(st.integers(1, 30)),
    st.floats(0, 40),
    st.integers(1, 30),
)
def test_whatever_goes_nobody_needed_it(
    number: int, used: set[int], running: set[int], oldest: float, target: int
) -> None:
    live = Alias("hello", "live", (Target(min(target, number)),))
    catalog = catalog_of(number, {"live": live})
    uses = [Use("hello", str(version), "route") for version in used]
    gone = set(garbage.unneeded(catalog, uses, [("hello", each) for each in running], oldest).get("hello", ()))
    assert not gone & (used | running | {min(target, number)} | set(range(number - 9, number + 1)))
    assert all(version <= oldest for version in gone)
