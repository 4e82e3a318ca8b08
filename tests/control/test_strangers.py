"""The control API and those who mean it no good: connections that say nothing, tokens that go while a body comes."""

import asyncio
import gzip
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from edgefn.control import connections, retries
from edgefn.control.asking import json_body, whole_body
from edgefn.control.credentials import write_secret
from edgefn.control.endpoints import ANYTHING, Endpoint, Scope, json_of
from edgefn.control.fleet import AUTHORITY, LOCATIONS, Fleet
from edgefn.control.location_endpoints import Hall, Told, location_endpoints
from edgefn.control.tokens import Tokens
from edgefn.control.uploads import Uploads
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.packing import packed
from edgefn.functions.replicas.nats.authority import Authority
from tests.control.stage import Stage, control_api
from tests.functions.nats.stage import user_key

UPLOADS = Uploads()


async def change(request: web.Request) -> web.Response:
    await json_body(request, known={"a"})
    return web.json_response({"changed": True})


async def upload(request: web.Request) -> web.Response:
    _, bundle = await UPLOADS.read(request, frozenset())
    return web.json_response({"changed": bundle.digest})


async def invoke(request: web.Request) -> web.Response:
    return web.json_response({"changed": (await whole_body(request)).decode()})


ENDPOINTS = [
    Endpoint(path, "POST", f"/{path}", Scope.DEPLOY, "Does it.", handle, json_of(ANYTHING))
    for path, handle in (("change", change), ("upload", upload), ("invoke", invoke))
]
UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="deployment"\r\n\r\n{}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="bundle"\r\nContent-Type: application/vnd.edgefn.bundle\r\n\r\n'
    + packed(Bundle.of([BundleFile("index.js", b"x")]))
    + b"\r\n--b--\r\n"
)


class Asking:
    """One connection on which a request is written in pieces."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.read()


@asynccontextmanager
async def connection(stage: Stage) -> AsyncIterator[Asking]:
    reader, writer = await asyncio.open_connection(*stage.admin.addresses[0])
    try:
        yield Asking(reader, writer)
    finally:
        writer.close()


def head(path: str, token: str, length: int, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", "Connection: close", f"Authorization: Bearer {token}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "Expect: 100-continue", *more, "\r\n"]).encode()


async def let_in(asking: Asking) -> None:
    """Wait until the request was let in, and its body is waited for."""
    async with asyncio.timeout(10):
        assert (await asking.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/change", "application/json", b"{}"),
        ("/invoke", "application/json", b"{}"),
        ("/upload", "multipart/form-data; boundary=b", UPLOAD),
    ],
)
async def test_a_token_that_is_revoked_while_the_body_comes_changes_nothing(
    tmp_path: Path, path: str, kind: str, body: bytes
) -> None:
    async with control_api(tmp_path, ENDPOINTS) as stage:
        token = await stage.issued("ci", "deploy")
        async with connection(stage) as asking:
            asking.send(head(path, token, len(body), f"Content-Type: {kind}"))
            await let_in(asking)
            asking.send(body[:1])
            assert (await stage.ask("DELETE", "/v1/tokens/ci"))[0] == 200
            asking.send(body[1:])
            answer = await asking.rest()
        assert (answer.split()[1], b"changed" in answer) == (b"401", False)
        assert (stage.audited[-1]["who"], stage.audited[-1]["outcome"]) == ("ci", "no-token")


async def no_servers() -> None:
    pass


async def test_a_one_time_token_lets_in_one_location_however_many_come_at_once(tmp_path: Path) -> None:
    write_secret(tmp_path / AUTHORITY, Authority.begin(os.urandom).write())
    write_secret(tmp_path / LOCATIONS, '{"locations": []}')
    fleet = Fleet(str(tmp_path), lambda: 1000.0)

    def endpoints(tokens: Tokens) -> list[Endpoint]:
        return location_endpoints(Hall(fleet, tokens, Told(()), lambda: 1000.0, no_servers, 3600))

    async with control_api(tmp_path, endpoints) as stage:
        _, told = await stage.ask("POST", "/v1/locations/fra1")
        bodies = [b'{"key": "%s"}' % user_key().public.encode() for _ in range(3)]
        async with connection(stage) as one, connection(stage) as two, connection(stage) as three:
            for asking, body in zip((one, two, three), bodies, strict=True):
                asking.send(head("/v1/locations/fra1/credentials", told["token"], len(body)))
                await let_in(asking)
            answers = []
            for asking, body in zip((one, two, three), bodies, strict=True):
                asking.send(body)
                answers.append(await asking.rest())
        assert [answer.split()[1] for answer in answers] == [b"200", b"401", b"401"]
        assert fleet.members["fra1"].key in bodies[0].decode()


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with control_api(tmp_path, ENDPOINTS, head_patience=0.2) as stage:
        async with connection(stage) as silent, connection(stage) as slow:
            slow.send(b"GET /v1/tok")
            assert await silent.rest() == b""
            assert await slow.rest() == b""
        async with connection(stage) as asking:
            asking.send(head("/change", "secret", 2))
            await let_in(asking)
            await asyncio.sleep(0.4)  # longer than the head may take: it is here, and bodies have their own time
            asking.send(b"{}")
            assert b"changed" in await asking.rest()


async def test_more_connections_than_there_may_be_are_closed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    async with control_api(tmp_path, ENDPOINTS) as stage, connection(stage) as one, connection(stage) as two:
        for asking in (one, two):
            asking.send(head("/change", "secret", 2))
            await let_in(asking)
        async with connection(stage) as three:
            assert await three.rest() == b""
        for asking in (one, two):
            asking.send(b"{}")
            assert b"changed" in await asking.rest()


async def test_a_stranger_keeps_no_connection(tmp_path: Path) -> None:
    async with control_api(tmp_path, ENDPOINTS) as stage, connection(stage) as asking:
        asking.send(b"GET /v1/tokens HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await asking.rest()).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "lines",
    [
        b"Authorization: Bearer my-secret-token\x01",
        b"Authorization: Bearer my-secret-token" + b"x" * 9_000,
        b"Authorization: Bearer my-secret-token\r\nno header",
    ],
)
async def test_a_request_that_is_none_is_logged_without_its_bytes(
    tmp_path: Path, lines: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with control_api(tmp_path, ENDPOINTS) as stage, connection(stage) as asking:
        asking.send(b"GET /v1/tokens HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n")
        assert (await asking.rest()).split()[1] == b"400"
    assert "something came that is no request" in caplog.text
    assert "my-secret-token" not in caplog.text + "".join(str(record.exc_info) for record in caplog.records)


async def test_a_body_is_taken_as_it_comes_so_that_no_bomb_goes_off(tmp_path: Path) -> None:
    async with control_api(tmp_path, ENDPOINTS) as stage:
        bomb = gzip.compress(b"{" + b" " * 50_000_000 + b"}")
        headers = {"Content-Encoding": "gzip"}
        status, told = await stage.ask("POST", "/change", data=bomb, headers=headers)
        assert (status, "is not JSON" in told["error"]["message"]) == (400, True)


async def test_a_body_that_is_framed_wrong_is_the_senders_fault(tmp_path: Path) -> None:
    async with control_api(tmp_path, ENDPOINTS) as stage:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        status, told = await stage.ask("POST", "/upload", data=b"--b\r\n" + b"a: b\r\n" * 300, headers=headers)
        assert (status, told["error"]["code"]) == (400, "broken-body")


async def test_strangers_can_not_fill_the_disk_with_the_audit_log_nor_hide_others_in_it(tmp_path: Path) -> None:
    deleting = Endpoint("it", "DELETE", "/it/{name}", Scope.DEPLOY, "Does it.", invoke, json_of(ANYTHING))
    async with control_api(tmp_path, [deleting]) as stage:
        for _ in range(100):
            assert (await stage.ask("DELETE", "/it/" + "a" * 5_000, token="guess"))[0] == 401
        reading = await stage.issued("reading", "read")
        assert (await stage.ask("DELETE", "/it/x", token=reading))[0] == 403
    strangers = [line for line in stage.audited if line["who"] is None]
    assert len(strangers) == 60
    assert max(len(line) for line in stage.lines) < 500
    assert (stage.audited[-1]["who"], stage.audited[-1]["outcome"]) == ("reading", "no-scope")


def test_what_was_left_out_is_counted() -> None:
    ration = connections.Ration(most=2, window=10.0)
    assert [ration.take(now) for now in (0.0, 1.0, 2.0, 9.9, 10.0, 11.0, 12.0)] == [0, 0, None, None, 2, 0, None]


def test_what_is_no_request_does_not_fill_the_log_either() -> None:
    record = logging.LogRecord("aiohttp", logging.ERROR, "", 1, "Error in %s", ("secret",), None)
    quiet = connections.WithoutBytes()
    assert sum(quiet.filter(record) for _ in range(100)) == 60
    assert "secret" not in record.getMessage()


async def test_a_new_token_of_an_old_name_does_not_get_the_answers_of_the_old_one(tmp_path: Path) -> None:
    async with control_api(tmp_path, ENDPOINTS) as stage:
        for event in ("1", "2"):
            token = await stage.issued("ci", "deploy")
            once = {"Idempotency-Key": "k"}
            assert await stage.ask("POST", "/invoke", token=token, data=event, headers=once) == (
                200,
                {"changed": event},
            )
            await stage.ask("DELETE", "/v1/tokens/ci")


async def test_answers_are_kept_up_to_a_bound_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MOST_BYTES", 1_000)
    async with control_api(tmp_path, ENDPOINTS) as stage:

        async def told(key: str, event: str) -> str:
            _, answer = await stage.ask("POST", "/invoke", data=event, headers={"Idempotency-Key": key})
            return str(answer["changed"])

        assert [await told("small", "1"), await told("small", "2")] == ["1", "1"]
        await told("large", "x" * 2_000)
        assert [await told("small", "3"), await told("small", "4")] == ["3", "3"]
