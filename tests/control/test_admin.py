"""The control API at its gate: who comes in, what is written down, and what is asked twice."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from edgefn.control.endpoints import ANYTHING, Endpoint, Parameter, Scope, json_of
from edgefn.control.faults import invalid
from edgefn.control.running import Operations, running_endpoints
from edgefn.model.errors import SettingsError
from tests.control.stage import Stage, control_api


async def nothing() -> str:
    return "nothing"


async def wrong() -> str:
    raise SettingsError(("routes: is missing", "listen: is missing"))


def endpoint(scope: Scope, handle, method: str = "POST", path: str = "/it") -> Endpoint:
    query = (Parameter("known", "Known."),)
    return Endpoint("it", method, path, scope, "Does it.", handle, json_of(ANYTHING), query=query)


async def done(_: web.Request) -> web.Response:
    return web.json_response({"done": True})


async def status_for(stage: Stage, authorization: bytes) -> bytes:
    host, port = stage.admin.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + authorization + b"\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer.split(b" ")[1]


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Authorization: \r\n", b"Authorization: Bearer \xff\xfe\r\n", b"Authorization: Bearer secre\r\n",
     b"Authorization: bearer secret\r\n", b"Authorization: Basic secret\r\n", b"Authorization: Bearer\r\n"],
)  # fmt: skip
async def test_nobody_gets_in_without_the_token_whatever_its_bytes(tmp_path: Path, authorization: bytes) -> None:
    async with control_api(tmp_path, running_endpoints(Operations(dict, nothing))) as stage:
        assert await status_for(stage, authorization) == b"401"


async def test_the_token_opens(tmp_path: Path) -> None:
    async with control_api(tmp_path, running_endpoints(Operations(dict, nothing))) as stage:
        assert await status_for(stage, b"Authorization: Bearer secret\r\n") == b"200"


@pytest.mark.parametrize(
    ("scope", "opens"),
    [
        ("read", {Scope.READ}),
        ("deploy", {Scope.READ, Scope.DEPLOY}),
        ("purge", {Scope.PURGE}),
        ("admin", set(Scope)),
    ],
)
async def test_a_token_opens_what_its_scope_says(tmp_path: Path, scope: str, opens: set[Scope]) -> None:
    endpoints = [endpoint(wanted, done, path=f"/{wanted}") for wanted in Scope]
    async with control_api(tmp_path, endpoints) as stage:
        token = await stage.issued("ci", scope)
        answers = {wanted: await stage.ask("POST", f"/{wanted}", token=token) for wanted in Scope}
        assert {wanted for wanted, (status, _) in answers.items() if status == 200} == opens
        assert {told["error"]["code"] for status, told in answers.values() if status != 200} <= {"no-scope"}


async def test_a_token_counts_until_it_expires_or_is_revoked(tmp_path: Path) -> None:
    async with control_api(tmp_path, [endpoint(Scope.READ, done)]) as stage:
        short, long = await stage.issued("short", "read", lifetime=60), await stage.issued("long", "read")
        assert [(await stage.ask("POST", "/it", token=token))[0] for token in (short, long)] == [200, 200]
        stage.now[0] += 61
        assert [(await stage.ask("POST", "/it", token=token))[0] for token in (short, long)] == [401, 200]
        assert await stage.ask("DELETE", "/v1/tokens/long") == (200, {"revoked": "long"})
        assert (await stage.ask("POST", "/it", token=long))[0] == 401
        assert (await stage.ask("DELETE", "/v1/tokens/long"))[0] == 404


async def test_tokens_outlive_a_restart_and_stand_on_disk_as_hashes(tmp_path: Path) -> None:
    async with control_api(tmp_path) as stage:
        token = await stage.issued("ci", "deploy")
    file = tmp_path / "tokens.json"
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    async with control_api(tmp_path, [endpoint(Scope.DEPLOY, done)]) as stage:
        assert (await stage.ask("POST", "/it", token=token))[0] == 200
        _, told = await stage.ask("GET", "/v1/tokens")
        assert [(entry["name"], entry["scopes"]) for entry in told["tokens"]] == [("ci", ["deploy"])]
        assert "sha256" not in str(told)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": "a b", "scopes": ["read"]}, "name"),
        ({"name": "operator", "scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["root"]}, "scopes"),
        ({"name": "a", "scopes": ["read"], "lifetime": 0}, "lifetime"),
        ({"name": "a", "scopes": ["read"], "livetime": 9}, "livetime"),
    ],
)
async def test_a_token_that_can_not_be_made_says_which_field_is_wrong(tmp_path: Path, wanted, field: str) -> None:
    async with control_api(tmp_path) as stage:
        status, told = await stage.ask("POST", "/v1/tokens", json=wanted)
        assert (status in {400, 409}, told["error"]["field"]) == (True, field)
        assert stage.tokens.all() == []


async def test_the_audit_log_says_who_did_what_and_what_came_of_it_but_no_secret(tmp_path: Path) -> None:
    async with control_api(tmp_path, [endpoint(Scope.DEPLOY, done), endpoint(Scope.READ, done, "GET")]) as stage:
        token = await stage.issued("ci", "deploy")
        await stage.ask("POST", "/it", token=token)
        await stage.ask("GET", "/it", token=token)
        await stage.ask("DELETE", "/v1/tokens/ci", token=token)
        await stage.ask("POST", "/it", token="guessed")
        told = [(line["who"], line["what"], line["outcome"]) for line in stage.audited]
        assert told == [
            ("operator", "issue-token", "done"),
            ("ci", "it", "done"),
            ("ci", "revoke-token", "no-scope"),
            (None, "it", "no-token"),
        ]
        assert stage.audited[0]["from"] == "127.0.0.1"
        assert not any(secret in line for line in stage.lines for secret in (token, "secret", "guessed"))


async def test_what_is_asked_twice_under_one_key_is_done_once(tmp_path: Path) -> None:
    calls: list[int] = []
    go = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        calls.append(1)
        await go.wait()
        if len(calls) == 1:
            raise invalid("x", "is wrong the first time")
        return web.json_response({"calls": len(calls)}, status=201)

    async with control_api(tmp_path, [endpoint(Scope.DEPLOY, slow)]) as stage:
        key = {"Idempotency-Key": "k1"}
        asked = [asyncio.create_task(stage.ask("POST", "/it", headers=key)) for _ in range(3)]
        go.set()
        answers = await asyncio.gather(*asked)
        assert sorted(status for status, _ in answers) == [201, 201, 400]
        assert await stage.ask("POST", "/it", headers=key) == (201, {"calls": 2})
        assert await stage.ask("POST", "/it", headers={"Idempotency-Key": "k2"}) == (201, {"calls": 3})
        stage.now[0] += 601
        assert await stage.ask("POST", "/it", headers=key) == (201, {"calls": 4})
        assert (await stage.ask("POST", "/it", headers={"Idempotency-Key": "k" * 201}))[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "unknown-path"),
        ("DELETE", "/it", 405, "unknown-method"),
        ("POST", "/it?knwon=1", 400, "invalid-request"),
        ("POST", "/broken", 500, "internal"),
    ],
)
async def test_every_refusal_is_a_document(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("boom")

    endpoints = [endpoint(Scope.READ, done), endpoint(Scope.READ, broken, path="/broken")]
    async with control_api(tmp_path, endpoints) as stage:
        given, told = await stage.ask(method, path)
        assert (given, told["error"]["code"]) == (status, code)
        assert "boom" not in str(told)


async def test_a_configuration_that_is_not_taken_lists_what_is_wrong(tmp_path: Path) -> None:
    async with control_api(tmp_path, running_endpoints(Operations(dict, wrong))) as stage:
        status, told = await stage.ask("POST", "/reload")
        assert (status, told["error"]["code"]) == (422, "invalid-configuration")
        assert told["error"]["problems"] == ["routes: is missing", "listen: is missing"]


async def test_the_openapi_document_lists_all_routes_and_no_others(tmp_path: Path) -> None:
    async with control_api(tmp_path, running_endpoints(Operations(dict, nothing))) as stage:
        status, told = await stage.ask("GET", "/openapi.json")
        assert (status, told["openapi"], told["info"]["version"]) == (200, "3.1.0", "1.2.3")
        listed = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
        assert listed == {(method, path) for method, path in stage.admin.routes if method != "HEAD"}
        operations = [operation for methods in told["paths"].values() for operation in methods.values()]
        assert len({operation["operationId"] for operation in operations}) == len(operations)
        assert all("default" in operation["responses"] for operation in operations)
