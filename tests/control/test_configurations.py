"""What locations share, through the control API: who may change it, and what two writers at once hear."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn.control.configuration_endpoints import configuration_endpoints
from edgefn.control.desk import Desk
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.sqlite.replica import opened
from tests.control.stage import Stage, control_api
from tests.fakes.greetings import GREET, publisher_on, saying

SITE = "/v1/configurations/main"
BODY = {
    "shared": {
        "origins": {"app": {"url": "http://a", "headers": {"X-Key": "secret-word"}}},
        "routes": [{"path": "*", "origin": "app"}],
    },
    "description": "first",
}


@dataclass
class Counter:
    stage: Stage
    publisher: Publisher

    async def ask(self, method: str, path: str = SITE, **more) -> tuple[int, dict]:
        return await self.stage.ask(method, path, **more)

    async def put(self, url: str, match: str | None = None, query: str = "", **more) -> tuple[int, dict]:
        shared = {**BODY["shared"], "origins": {"app": {"url": url}}}
        headers = {} if match is None else {"If-Match": match}
        return await self.ask("PUT", SITE + query, json={"shared": shared}, headers=headers, **more)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with opened(tmp_path / "replica", lambda: 1000.0, lambda: "one") as replica:
        publisher = publisher_on(replica)
        desk = Desk(publisher, list, lambda: 1000.0, lambda: ["here"])
        async with control_api(tmp_path, configuration_endpoints(desk)) as stage:
            yield Counter(stage, publisher)


async def test_what_is_put_is_in_force_and_told_without_its_secrets(counter: Counter) -> None:
    status, told = await counter.ask("GET")
    assert (status, told["error"]["code"]) == (404, "unknown-configuration")
    status, told = await counter.ask("PUT", json=BODY)
    assert (status, told["before"], told["revision"], told["is_new"], told["generation"]) == (200, 0, 1, True, 1)
    assert {"path": "origins.app.headers.X-Key", "old": None, "new": "(not shown)"} in told["changes"]
    status, told = await counter.ask("GET")
    assert (status, told["revision"]) == (200, 1)
    assert told["revisions"] == [{"revision": 1, "published": 1000.0, "description": "first"}]
    assert told["shared"]["origins"]["app"] == {"url": "http://a", "headers": {"X-Key": "(not shown)"}}
    status, told = await counter.ask("GET", "/v1/configurations")
    assert [(each["site"], each["revision"]) for each in told["configurations"]] == [("main", 1)]
    assert "secret-word" not in "".join(counter.stage.lines)


async def test_the_tag_of_what_is_in_force_decides_between_two_writers(counter: Counter) -> None:
    assert (await counter.put("http://a", '"0"'))[0] == 200
    assert (await counter.put("http://b", '"1"'))[1]["revision"] == 2
    status, told = await counter.put("http://b", '"1"')
    assert (status, told["revision"], told["is_new"]) == (200, 2, False), "sent again, as no answer came"
    status, told = await counter.put("http://c", '"1"')
    assert (status, told["error"]["code"]) == (412, "stale")
    assert "configuration 1 of site main was to be replaced, but 2 is in force" in told["error"]["message"]
    status, told = await counter.ask("POST", f"{SITE}/rollback", headers={"If-Match": '"1"'})
    assert status == 412
    status, told = await counter.put("http://c", "7")
    assert (status, told["error"]["field"]) == (400, "If-Match")
    async with counter.stage.session.get(
        counter.stage.base + SITE, headers={"Authorization": "Bearer secret"}
    ) as answer:
        assert answer.headers["ETag"] == '"2"'
    status, told = await counter.ask("PUT", json=BODY, headers={"If-None-Match": "*"})
    assert status == 412


async def test_a_dry_run_tells_and_changes_nothing(counter: Counter) -> None:
    await counter.put("http://a")
    status, told = await counter.put("http://b", query="?dry_run=true")
    assert (status, told["revision"], len(told["changes"]), told["generation"]) == (200, 2, 1, 1)
    status, told = await counter.ask("GET")
    assert told["revision"] == 1
    assert [line.get("dry_run") for line in counter.stage.audited] == [False, True]


async def test_a_rollback_returns_to_the_one_before_or_the_one_that_is_named(counter: Counter) -> None:
    for word in "abc":
        await counter.put(f"http://{word}")
    status, told = await counter.ask("POST", f"{SITE}/rollback")
    assert (status, told["before"], told["revision"]) == (200, 3, 2)
    assert told["changes"] == [{"path": "origins.app.url", "old": "http://c", "new": "http://b"}]
    status, told = await counter.ask("POST", f"{SITE}/rollback", json={"revision": 3})
    assert (status, told["revision"]) == (200, 3)
    status, told = await counter.ask("POST", f"{SITE}/rollback", json={"revision": "3"})
    assert (status, told["error"]["field"]) == (400, "revision")
    status, told = await counter.ask("POST", f"{SITE}/rollback", json={"revision": 77})
    assert (status, "is not there any more" in told["error"]["message"]) == (409, True)


async def test_the_same_change_sent_again_is_made_once(counter: Counter) -> None:
    await counter.put("http://a")
    back = {"Idempotency-Key": "k1"}
    await counter.put("http://b")
    first = await counter.ask("POST", f"{SITE}/rollback", headers=back)
    again = await counter.ask("POST", f"{SITE}/rollback", headers=back)
    assert (first, first[1]["revision"]) == (again, 1)


def hooked(name: str) -> dict[str, object]:
    route = {"path": "*", "origin": "app", "hooks": {"viewer-request": name}}
    return {**BODY["shared"], "routes": [route]}


def deep(levels: int) -> object:
    return [deep(levels - 1)] if levels else "x"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "shared: must be an object"),
        ({**BODY, "description": 7}, 400, "description: must be a text"),
        ({**BODY, "text": ""}, 400, "text: is not known here"),
        ({"shared": {"routes": []}}, 422, "origins: is missing"),
        ({"shared": {**BODY["shared"], "workers": 2}}, 422, "workers: is each location's own"),
        ({"shared": {"x": deep(40)}}, 422, "nested more than"),
        (
            {"shared": hooked("a:b")},
            409,
            'routes[0].hooks.viewer-request: there is no function "a"; `edgefn deploy PATH --name a` publishes one',
        ),
        (
            {"shared": hooked("a")},
            422,
            'routes[0].hooks.viewer-request: there is no function "a"; there is here',
        ),
    ],
)  # fmt: skip
async def test_what_can_not_be_is_refused_with_its_place(counter: Counter, body: dict, status: int, told: str) -> None:
    found, answer = await counter.ask("PUT", json=body)
    words = "\n".join([answer["error"]["message"], *answer["error"].get("problems", [])])
    assert (found, told in words) == (status, True), words
    assert (await counter.ask("GET"))[0] == 404


async def test_only_who_may_deploy_changes_it(counter: Counter) -> None:
    await counter.publisher.deploy(GREET, saying("one"), alias="live")
    reader, deployer = await counter.stage.issued("r", "read"), await counter.stage.issued("d", "deploy")
    assert (await counter.put("http://a", token=reader))[0] == 403
    assert (await counter.put("http://a", token=deployer))[0] == 200
    assert (await counter.ask("GET", token=reader))[0] == 200
    assert [(line["who"], line["what"], line["outcome"]) for line in counter.stage.audited[-2:]] == [
        ("r", "configure", "no-scope"),
        ("d", "configure", "done"),
    ]
