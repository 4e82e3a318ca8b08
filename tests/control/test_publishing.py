"""Publishing through the control API: what is answered, and what is refused."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from aiohttp import FormData

from edgefn.cli.status import words
from edgefn.control import uploads
from edgefn.control.alias_endpoints import alias_endpoints
from edgefn.control.deploy_endpoints import deploy_endpoints
from edgefn.control.desk import Desk
from edgefn.control.function_endpoints import function_endpoints
from edgefn.control.log_endpoints import OwnBook, log_endpoints
from edgefn.control.status_endpoints import status_endpoints
from edgefn.control.uploads import ZIP
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.committing import Senses
from edgefn.functions.logbook import LogEntry, LogFile
from edgefn.functions.packing import packed
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Record, UnavailableError
from edgefn.functions.replicas.sqlite.replica import SqliteReplica
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import FailedVersion, LocationState, LocationStatus, Manifest, Use
from edgefn.node import world
from tests.control.stage import Stage, control_api

PACKED = "application/vnd.edgefn.bundle"


class Replica(SqliteReplica):
    """The real one; `away` makes it unreachable."""

    away = False

    async def incarnation(self) -> str:
        if self.away:
            raise UnavailableError("it is away")
        return await super().incarnation()

    async def statuses(self) -> Mapping[str, bytes]:
        if self.away:
            raise UnavailableError("it is away")
        return await super().statuses()


@dataclass
class Shop:
    """A control API with a publisher. `broken` is what a trial says of code with the word "broken" in it."""

    stage: Stage
    replica: Replica
    publisher: Publisher
    uses: list[Use] = field(default_factory=list)

    async def ask(self, method: str, path: str, **more) -> tuple[int, dict]:
        return await self.stage.ask(method, path, **more)

    async def deploy(self, code: str, name: str = "geo", kind: str = PACKED, data: bytes | None = None, **deployment):
        deployment.setdefault("settings", {"runtime": "nodejs20.x"})
        form = FormData()
        form.add_field("deployment", orjson.dumps(deployment).decode(), content_type="application/json")
        content = packed(Bundle.of([BundleFile("index.js", code.encode())])) if data is None else data
        form.add_field("bundle", io.BytesIO(content), content_type=kind, filename="bundle")
        return await self.ask("POST", f"/v1/functions/{name}/deployments", data=form)

    async def says(self, location: str, generation: int, *failed: FailedVersion, at: float = 1000.0) -> None:
        status = LocationStatus(location, generation, at, failed=failed, running={"geo:live": 1})
        await self.replica.set_status(location, status_to_json(status))


async def trial(manifest: Manifest, bundle: Bundle) -> str | None:
    code = bundle.files[0].data.decode()
    return f"{manifest.function}: SyntaxError in index.js:1" if "broken" in code else None


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    replica, uses = Replica(tmp_path / "replica", lambda: 1000.0), list[Use]()
    await replica.prepare("one")
    publisher = Publisher(replica, Keys(), trial, Senses(lambda: 1000.0, world.invocation_id))
    desk = Desk(publisher, lambda: uses, lambda: 1000.0)
    endpoints = [
        *deploy_endpoints(desk),
        *function_endpoints(desk),
        *alias_endpoints(desk),
        *status_endpoints(desk),
        *log_endpoints(OwnBook(tmp_path / "logs", lambda _: "2026-01-01T00:00:02Z")),
    ]
    async with control_api(tmp_path, endpoints) as stage:
        yield Shop(stage, replica, publisher, uses)
    await replica.close()


async def test_what_is_deployed_is_a_version_that_the_alias_points_at(shop: Shop) -> None:
    status, told = await shop.deploy("one", alias="live", description="first")
    assert status == 200, told
    assert (told["version"]["version"], told["is_new"], told["generation"]) == ("1", True, 1)
    assert told["alias"]["targets"] == [{"version": 1, "weight": 10_000}]
    assert told["version"]["settings"]["handler"] == "index.handler"
    status, told = await shop.ask("GET", "/v1/functions")
    assert [function["name"] for function in told["functions"]] == ["geo"]
    status, told = await shop.ask("GET", "/v1/functions/geo/versions")
    assert [(each["version"], each["aliases"], each["description"]) for each in told["versions"]] == [
        ("$LATEST", [], "first"),
        ("1", ["live"], "first"),
    ]


async def test_the_same_code_again_is_the_same_version_and_a_retry_changes_nothing(shop: Shop) -> None:
    first = await shop.deploy("one", alias="live")
    again = await shop.deploy("one", alias="live")
    assert (again[1]["is_new"], again[1]["version"], again[1]["generation"]) == (False, first[1]["version"], 1)


async def test_settings_that_are_not_given_stay_and_null_is_the_default(shop: Shop) -> None:
    given = {"runtime": "nodejs20.x", "memory": "256MB", "timeout": "2s", "environment": {"STAGE": "s3cret"}}
    _, told = await shop.deploy("one", settings=given)
    assert told["alias"] is None
    assert told["version"]["environment"] == ["STAGE"]
    _, told = await shop.deploy("two", settings={"memory": None})
    settings = told["version"]["settings"]
    assert (settings["memory"], settings["timeout"], settings["runtime"]) == ("128MB", "2s", "nodejs20.x")
    assert told["version"]["environment"] == ["STAGE"]
    assert "s3cret" not in orjson.dumps(told).decode()
    assert not any("s3cret" in line for line in shop.stage.lines)


async def test_a_share_of_the_invocations_then_all_then_back(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    _, told = await shop.deploy("two", alias="live", weight=1000)
    assert told["alias"]["targets"] == [{"version": 1, "weight": 9000}, {"version": 2, "weight": 1000}]
    _, told = await shop.ask("PUT", "/v1/functions/geo/aliases/live", json={"sticky": {"by": "cookie", "name": "s"}})
    assert [target["version"] for target in told["alias"]["targets"]] == [1, 2]
    everything = {"targets": [{"version": 2, "weight": 10_000}]}
    _, told = await shop.ask("PUT", "/v1/functions/geo/aliases/live", json=everything)
    assert (told["alias"]["previous"], told["alias"]["sticky"]) == (1, {"by": "cookie", "name": "s"})
    status, told = await shop.ask("POST", "/v1/functions/geo/aliases/live/rollback")
    assert (status, told["alias"]["targets"]) == (200, [{"version": 1, "weight": 10_000}])
    status, told = await shop.ask("POST", "/v1/functions/geo/aliases/live/rollback")
    assert (status, told["error"]["code"]) == (409, "refused")


async def test_a_rollback_that_is_asked_for_twice_under_one_key_goes_back_once(shop: Shop) -> None:
    for code in ("one", "two"):
        await shop.deploy(code, alias="live")
    headers = {"Idempotency-Key": "once"}
    path = "/v1/functions/geo/aliases/live/rollback"
    first = await shop.ask("POST", path, headers=headers)
    assert await shop.ask("POST", path, headers=headers) == first
    assert first[1]["alias"]["targets"][0]["version"] == 1


async def test_broken_code_is_refused_with_the_reason_and_changes_nothing(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    status, told = await shop.deploy("broken", alias="live")
    assert (status, told["error"]["code"]) == (409, "refused")
    assert "SyntaxError in index.js:1" in told["error"]["message"]
    _, told = await shop.ask("GET", "/v1/functions/geo/versions/$LATEST")
    assert told["version"] == "$LATEST"
    _, told = await shop.ask("GET", "/v1/functions/geo")
    assert (told["versions"], told["aliases"][0]["targets"][0]["version"]) == ([1], 1)


async def test_what_is_used_is_not_deleted(shop: Shop) -> None:
    for code in ("one", "two"):
        await shop.deploy(code)
    await shop.deploy("two", alias="live")
    status, told = await shop.ask("DELETE", "/v1/functions/geo/versions/2")
    assert (status, "used by the alias live" in told["error"]["message"]) == (409, True)
    shop.uses.append(Use("geo", "1", "routes[0].hooks.viewer-request"))
    status, told = await shop.ask("DELETE", "/v1/functions/geo/versions/1")
    assert (status, "routes[0].hooks.viewer-request" in told["error"]["message"]) == (409, True)
    shop.uses.clear()
    status, told = await shop.ask("DELETE", "/v1/functions/geo/versions/1")
    assert (status, told) == (200, {"generation": 4})
    assert (await shop.ask("DELETE", "/v1/functions/geo/versions/1"))[0] == 404
    for number in ("9" * 5000, "%D9%A1"):  # more digits than Python reads, and a one in Arabic
        assert (await shop.ask("GET", f"/v1/functions/geo/versions/{number}"))[0] == 404
        assert (await shop.ask("DELETE", f"/v1/functions/geo/versions/{number}"))[0] == 400
    assert (await shop.ask("DELETE", "/v1/functions/geo/aliases/live"))[0] == 200
    assert (await shop.ask("DELETE", "/v1/functions/geo"))[0] == 200
    assert (await shop.ask("GET", "/v1/functions/geo"))[0] == 404


async def test_what_a_location_runs_is_not_deleted_until_it_has_left(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    await shop.says("fra1", 1)
    for path in ("aliases/live", ""):
        status, told = await shop.ask("DELETE", f"/v1/functions/geo/{path}".rstrip("/"))
        assert (status, "used by a hook at fra1" in told["error"]["message"]) == (409, True), told
    retired = LocationStatus("fra1", 1, 1000.0, LocationState.RETIRED, running={"geo:live": 1})
    await shop.replica.set_status("fra1", status_to_json(retired))
    assert (await shop.ask("DELETE", "/v1/functions/geo"))[0] == 200


def zipped(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_js", ".js").replace("up_", "../"), text)
    return content.getvalue()


async def test_a_zip_is_taken_too(shop: Shop) -> None:
    data = zipped(index_js="exports.handler = async () => 1", other_js="1")
    status, told = await shop.deploy("", kind="application/zip", data=data)
    assert (status, told["version"]["version"]) == (200, "1"), told


@pytest.mark.parametrize(
    ("given", "status", "code", "words"),
    [
        ({"data": b"PK\x05\x06torn", "kind": "application/zip"}, 400, "invalid-bundle", "the zip is broken"),
        ({"data": zipped(up_x_js="1"), "kind": "application/zip"}, 400, "invalid-bundle", "../x.js"),
        ({"data": b"something else"}, 400, "invalid-bundle", "no packed bundle"),
        ({"kind": "text/plain"}, 415, "unknown-type", "send application/zip or"),
        ({"settings": {}}, 400, "invalid-settings", "settings.runtime: is missing"),
        ({"settings": {"runtime": "nodejs20"}}, 400, "invalid-settings", '"nodejs20" is not known; did you mean'),
        ({"settings": {"runtime": "wasm", "path": "/etc"}}, 400, "invalid-settings", "settings.path"),
        ({"settings": []}, 400, "invalid-request", "settings: must be an object"),
        ({"alias": "7"}, 409, "refused", "an alias can't be a number"),
        ({"alias": 7}, 400, "invalid-request", "alias: must be a name"),
        ({"weight": 0}, 400, "invalid-request", "weight: must be a whole number"),
        ({"wieght": 10}, 400, "invalid-request", "deployment.wieght: is not known here"),
        ({"name": "a.b"}, 400, "invalid-request", "'a.b' is no name"),
    ],
)
async def test_a_deployment_that_is_wrong_says_where(shop: Shop, given, status: int, code: str, words: str) -> None:
    answered, told = await shop.deploy("one", **given)
    assert (answered, told["error"]["code"]) == (status, code), told
    assert words in told["error"]["message"]
    assert await shop.replica.read() == []


async def test_an_upload_that_is_too_large_is_cut_off(shop: Shop) -> None:
    status, told = await shop.deploy("", data=bytes(50 * 1024**2 + 1))
    assert (status, told["error"]["code"], told["error"]["field"]) == (413, "too-large", "bundle")


async def test_the_audit_log_names_what_was_deployed(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    (line,) = shop.stage.audited
    assert (line["who"], line["what"], line["function"], line["version"], line["alias"], line["outcome"]) == (
        "operator", "deploy", "geo", 1, "live", "done",
    )  # fmt: skip


async def lines(shop: Shop, path: str) -> list[dict]:
    headers = {"Authorization": "Bearer secret"}
    async with shop.stage.session.get(shop.stage.base + path, headers=headers) as answer:
        assert answer.status == 200
        return [orjson.loads(line) async for line in answer.content if line.strip()]


async def test_whoever_waits_hears_of_each_location_until_all_have_it(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    await shop.says("ams1", 1)
    await shop.says("fra1", 0)
    waiting = asyncio.create_task(lines(shop, "/v1/progress?generation=1&timeout=20"))
    await asyncio.sleep(0)
    await shop.says("fra1", 1)
    heard = await waiting
    assert heard[-1]["current"] == ["ams1", "fra1"]
    assert heard[-1]["done"] is True
    half = await lines(shop, "/v1/progress?generation=1&fraction=0.5")
    assert half[-1]["done"] is True


async def test_a_location_that_can_not_take_a_version_is_named_with_the_reason(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    await shop.says("ams1", 1)
    await shop.says("fra1", 1, FailedVersion("geo", 1, "no room"))
    heard = await lines(shop, "/v1/progress?generation=1&timeout=20")
    failed = [{"location": "fra1", "failed": [{"function": "geo", "version": "1", "why": "no room"}]}]
    assert (heard[-1]["failed"], heard[-1]["done"]) == (failed, False)
    _, told = await shop.ask("GET", "/v1/status")
    assert {each["location"]: each["health"] for each in told["locations"]} == {"ams1": "current", "fra1": "failing"}


async def test_the_status_tells_who_is_behind_and_who_is_silent(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    await shop.says("ams1", 0)
    await shop.says("fra1", 0, at=900.0)
    _, told = await shop.ask("GET", "/v1/status")
    seen = [(each["location"], each["health"], each["lag"], each["seen"]) for each in told["locations"]]
    assert seen == [("ams1", "applying", 1, 0.0), ("fra1", "unreachable", 1, 100.0)]


async def test_the_status_tells_what_was_put_right(shop: Shop) -> None:
    await shop.deploy("one", alias="live")
    await shop.replica.append([Record("alias.geo.live", b"")], {})
    _, told = await shop.ask("GET", "/v1/status")
    assert told["problems"] == [{"subject": "alias.geo.live", "why": "nobody who may publish has written it"}]
    await shop.publisher._committer.put_right()
    _, told = await shop.ask("GET", "/v1/status")
    assert told["problems"] == []
    assert told["righted"] == [{"at": 1000.0, "subjects": ["alias.geo.live"], "generation": 2}]
    assert "alias.geo.live: somebody without the key had written that; put right in generation 2" in words(told)


async def test_uploads_that_stand_still_hold_up_nobody_and_are_given_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PIECE_PATIENCE", 3.0)
    begun, stop = asyncio.Semaphore(0), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"PK"
        begun.release()
        await stop.wait()

    def slow() -> FormData:
        form = FormData()
        form.add_field("deployment", '{"settings": {"runtime": "nodejs20.x"}}', content_type="application/json")
        form.add_field("bundle", stuck(), content_type=ZIP, filename="bundle")
        return form

    path = "/v1/functions/geo/deployments"
    async with asyncio.timeout(60):
        waiting = [asyncio.create_task(shop.ask("POST", path, data=slow())) for _ in range(4)]
        for _ in waiting:
            await begun.acquire()
        status, told = await shop.deploy("one", name="quick", alias="live")
        assert status == 200, told
        assert not any(each.done() for each in waiting)
        answers = [await each for each in waiting]
    assert {(status, told["error"]["code"]) for status, told in answers} == {(408, "too-slow")}
    stop.set()


async def test_a_replica_that_is_away_is_a_503_also_where_lines_were_to_come(shop: Shop) -> None:
    shop.replica.away = True
    for path in ("/v1/functions", "/v1/progress?generation=1"):
        status, told = await shop.ask("GET", path)
        assert (status, told["error"]["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/progress?generation=x", "generation"),
        ("/v1/progress?fraction=2", "fraction"),
        ("/v1/logs?limit=-1", "limit"),
        ("/v1/logs?follow=maybe", "follow"),
        ("/v1/functions/a%20b", "function"),
    ],
)
async def test_a_query_that_is_wrong_names_its_field(shop: Shop, path: str, field: str) -> None:
    status, told = await shop.ask("GET", path)
    assert (status, told["error"]["field"]) == (400, field)


async def test_logs_are_told_and_followed(shop: Shop, tmp_path: Path) -> None:
    file = LogFile(tmp_path / "logs")

    def write(number: int, function: str = "geo") -> None:
        entry = LogEntry(f"2026-01-01T00:00:0{number}Z", "fra1", function, "1", f"i{number}", "r", f"line {number}")
        file.write(orjson.dumps(entry).decode() + "\n")
        file.flush()

    write(1)
    write(2, "auth")
    assert [line["text"] for line in await lines(shop, "/v1/logs")] == ["line 1", "line 2"]
    assert [line["text"] for line in await lines(shop, "/v1/logs?function=geo&limit=5")] == ["line 1"]
    headers = {"Authorization": "Bearer secret"}
    async with shop.stage.session.get(f"{shop.stage.base}/v1/logs?follow=true", headers=headers) as answer:
        heard = [orjson.loads(await answer.content.readline())["text"] for _ in range(2)]
        write(3)
        heard.append(orjson.loads(await answer.content.readline())["text"])
    assert heard == ["line 1", "line 2", "line 3"]
    file.close()
