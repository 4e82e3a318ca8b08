"""Publishing what locations share: numbered, put in force in one commit, and taken back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edgefn.functions.committing import PublishError, StaleError
from edgefn.functions.configuring import Configurer, Turned
from edgefn.functions.publishing import Publisher
from edgefn.functions.sealing import SealingKey
from edgefn.functions.signing import Keys
from edgefn.model.errors import SettingsError
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import LocationState, LocationStatus, RefusedConfiguration
from edgefn.rules.configuring import KEPT
from edgefn.rules.rollout import About, FailedLocation
from tests.fakes.published import bundle, settings
from tests.functions.publishing.stage import Stage


def shared(url: str = "http://a", hook: str | None = None, **more: object) -> dict[str, object]:
    route: dict[str, object] = {"path": "*", "origin": "app"}
    if hook is not None:
        route["hooks"] = {"viewer-request": hook}
    return {"origins": {"app": {"url": url, **more}}, "routes": [route]}


def configurer(publisher: Publisher, *functions: str) -> Configurer:
    return Configurer(publisher, lambda: 5.0, lambda: functions or None)


async def put(by: Configurer, document: dict[str, object], expected: int | None = None) -> Turned:
    return await by.carry_out(by.plan("main", document, "", expected))


async def back(by: Configurer, number: int | None = None, expected: int | None = None) -> Turned:
    return await by.carry_out(by.plan_back("main", number, expected))


async def test_each_configuration_has_a_number_and_the_same_one_again_changes_nothing(publisher: Publisher) -> None:
    by = configurer(publisher)
    first = await put(by, shared())
    assert (first.before, first.after.number, first.generation) == (None, 1, 1)
    again = await put(by, {key: shared()[key] for key in ("routes", "origins")})
    assert (again.before, again.after, again.generation) == (first.after, first.after, 1)
    second = await put(by, shared("http://b"))
    assert (second.before, second.after.number, second.after.previous) == (first.after, 2, 1)
    assert [(each.path, each.old, each.new) for each in second.differences] == [
        ("origins.app.url", "http://a", "http://b")
    ]


async def test_a_rollback_goes_back_step_by_step_past_what_was_rolled_back_before(publisher: Publisher) -> None:
    by = configurer(publisher)
    for word in "abc":
        await put(by, shared(f"http://{word}"))
    assert (await back(by)).after.number == 2
    assert (await put(by, shared("http://d"))).after.number == 4
    assert [(await back(by)).after.number, (await back(by)).after.number] == [2, 1]
    with pytest.raises(PublishError, match="a configuration before 1 of site main is not there"):
        await back(by)
    assert (await back(by, 3)).after.number == 3
    with pytest.raises(PublishError, match="configuration 9 of site main is not there any more, or never was"):
        await back(by, 9)


async def test_the_newest_ones_are_kept_and_those_that_rollbacks_lead_to(publisher: Publisher) -> None:
    by = configurer(publisher)
    for number in range(KEPT + 5):
        await put(by, shared(f"http://a{number}"))
    site = (await publisher.catalog()).configurations["main"]
    assert sorted(site.revisions) == list(range(6, 16))
    for _ in range(KEPT - 1):
        await back(by)
    assert (await publisher.catalog()).configurations["main"].current == 6
    assert (await put(by, shared("http://new"))).after.number == 16
    assert {16, 6} < set((await publisher.catalog()).configurations["main"].revisions)
    assert (await back(by)).after.number == 6


async def test_of_two_writers_one_is_told_that_somebody_was_faster(stage: Stage) -> None:
    await put(configurer(stage.publisher()), shared())

    writes = (put(configurer(stage.publisher()), shared(f"http://{word}"), expected=1) for word in "bcd")
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [outcome.after.number for outcome in outcomes if isinstance(outcome, Turned)] == [2]
    refused = [str(outcome) for outcome in outcomes if isinstance(outcome, StaleError)]
    assert len(refused) == 2
    assert all("somebody was faster" in why for why in refused)
    with pytest.raises(StaleError):
        await back(configurer(stage.publisher()), expected=1)
    with pytest.raises(StaleError, match="none of site main was to be replaced"):
        await put(configurer(stage.publisher()), shared("http://e"), expected=0)


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ("nothing:live", 'routes[0].hooks.viewer-request: there is no function "nothing"; `edgefn deploy PATH --name'),
        ("hello:beta", 'hello has no alias "beta"; `edgefn alias set hello beta VERSION` makes it; there is: live'),
        ("hello:7", "hello has no version 7; the newest ones are: 1"),
        ("slow:1", 'the function "slow" has a timeout of 60s; at viewer-request the most is 30s'),
    ],
)
async def test_what_its_hooks_name_must_be_there(publisher: Publisher, hook: str, told: str) -> None:
    await publisher.deploy(settings(), bundle("one"), alias="live")
    await publisher.deploy(settings("slow", timeout=60.0), bundle("two"), alias=None)
    with pytest.raises(PublishError) as caught:
        await put(configurer(publisher), shared(hook=hook))
    assert told in str(caught.value)
    assert (await publisher.catalog()).configurations == {}


DELETES: list[Callable[[Publisher], Awaitable[int]]] = [
    lambda publisher: publisher.delete_alias("hello", "live"),
    lambda publisher: publisher.delete_function("hello"),
]


@pytest.mark.parametrize("delete", DELETES)
async def test_what_a_configuration_in_force_names_can_not_be_deleted(
    publisher: Publisher, delete: Callable[[Publisher], Awaitable[int]]
) -> None:
    by = configurer(publisher)
    await publisher.deploy(settings(), bundle("one"), alias="live")
    await put(by, shared())
    await put(by, shared(hook="hello:live"))
    with pytest.raises(
        PublishError, match=r"used by routes\[0\].hooks.viewer-request of the configuration of site main"
    ):
        await delete(publisher)
    await back(by)
    await delete(publisher)
    with pytest.raises(PublishError, match="hello"):
        await back(by, 2)


async def test_a_version_that_a_configuration_names_is_neither_deleted_nor_collected(
    stage: Stage, publisher: Publisher
) -> None:
    for number in range(12):
        await publisher.deploy(settings(), bundle(f"{number}"), alias="live")
    await put(configurer(publisher), shared(hook="hello:1"))
    with pytest.raises(PublishError, match="hello:1 is used by"):
        await publisher.delete_version("hello", 1)
    stage.clock.now += 10 * 86_400
    assert (await publisher.collect()).versions == ("hello:2",)


async def test_a_trial_says_what_would_change_and_changes_nothing(publisher: Publisher) -> None:
    by = configurer(publisher)
    await put(by, shared())
    tried = await by.try_out(by.plan("main", shared("http://b"), "", 1))
    assert (tried.after.number, len(tried.differences)) == (2, 1)
    with pytest.raises(StaleError):
        await by.try_out(by.plan("main", shared("http://b"), "", 7))
    assert (await publisher.catalog()).generation == 1


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "origins: is missing; write a table"),
        ({**shared(), "listen": "x"}, "listen: is each location's own; write it into the location's own file"),
        ({**shared(), "orgins": {}}, "orgins: is no setting that is published; did you mean origins or origin_groups?"),
        (shared("ftp://a"), 'origins.app.url: "ftp://a" is not a URL of an origin'),
        (shared(hook="here"), 'routes[0].hooks.viewer-request: there is no function "here"; there is geo'),
    ],
)
async def test_what_can_not_be_is_refused_by_its_key(publisher: Publisher, document: dict, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await put(configurer(publisher, "geo"), document)
    assert any(problem.startswith(told) for problem in caught.value.problems), caught.value.problems


async def test_one_that_is_too_large_is_refused_before_anything_is_written(publisher: Publisher) -> None:
    pages = {str(status): "/" + "x" * 90_000 for status in (400, 403, 404)}
    with pytest.raises(PublishError, match=r"is 270,1\d\d bytes; publish at most 262,144"):
        await put(configurer(publisher), {**shared(), "error_pages": pages})


@pytest.mark.parametrize("site", ["a b", "off", ""])
async def test_a_site_has_a_plain_name(publisher: Publisher, site: str) -> None:
    by = configurer(publisher)
    with pytest.raises(PublishError, match="can't name a site"):
        await by.carry_out(by.plan(site, shared(), "", None))


async def test_headers_for_an_origin_stand_in_no_record_in_clear_and_in_no_difference(stage: Stage) -> None:
    by = configurer(stage.publisher(keys=Keys(sealing=(SealingKey(bytes(32)),))))
    await put(by, shared())
    turned = await put(by, shared(headers={"X-Key": "secret-word"}))
    assert [(each.path, each.old, each.new) for each in turned.differences] == [
        ("origins.app.headers.X-Key", None, "(not shown)")
    ]
    everything = b"".join(path.read_bytes() for path in stage.directory.rglob("*") if path.is_file())
    assert b"secret-word" not in everything
    assert b"c2VjcmV0LXdvcm" not in everything


async def test_waiting_for_a_configuration_heeds_the_locations_of_its_site_only(
    stage: Stage, publisher: Publisher
) -> None:
    refused = RefusedConfiguration(2, "no such file")
    for status in (
        LocationStatus("ams", 3, stage.clock.now, site="main", configuration=2),
        LocationStatus("fra", 3, stage.clock.now, site="main", configuration=1, refused=refused),
        LocationStatus("nyc", 1, stage.clock.now, site="shop"),
        LocationStatus("old", 1, stage.clock.now, LocationState.RETIRED, site="main"),
    ):
        await stage.replica.set_status(status.location, status_to_json(status))
    (now,) = [now async for now in publisher.wait(3, about=About(site="main"))]
    assert (now.current, now.failed) == (("ams",), (FailedLocation("fra", (), "main", refused),))
    (now,) = [now async for now in publisher.wait(3, about=About(site="none"))]
    assert (now.active, now.is_done()) == (0, False)
