"""The server that a control plane brings along: found, old, dead, under TLS, and with what it keeps encrypted."""

import asyncio
import os
import signal
import ssl
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgefn.functions.replicas.base import Record, ReplicaError, UnavailableError
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.nats.link import Address
from edgefn.functions.replicas.nats.server import ServerSettings, check_version, find_server, start
from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.fakes.certificates import write_certificate
from tests.free_ports import free_port
from tests.functions.nats.stage import PROGRAM, digest, head, hub, opened, pieces
from tests.waiting import until

SECRET = b"a secret that stands nowhere in clear"


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


async def test_the_server_is_new_enough() -> None:
    assert tuple(map(int, (await check_version(PROGRAM)).split(".")[:2])) >= (2, 12)


async def test_an_old_server_is_refused(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "echo 'nats-server: v2.9.10'")
    with pytest.raises(ReplicaError, match=r"is nats-server v2\.9\.10; edgefn needs 2\.12 or newer"):
        await check_version(old)


async def test_what_is_no_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplicaError, match="does not say which version"):
        await check_version(program(tmp_path / "other", "echo hello"))
    with pytest.raises(ReplicaError, match=r"pip install 'edgefn\[cluster\]'"):
        find_server(str(tmp_path / "missing"))


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    settings = ServerSettings("hub", tmp_path / "hub", authority="operator: nonsense\n")
    with pytest.raises(ReplicaError, match=r"nats-server ended with 1: .*nonsense"):
        await start(settings, PROGRAM)


async def test_a_server_ends_with_a_killed_control_plane_and_holds_nothing_of_its_output(tmp_path: Path) -> None:
    file = control_settings(tmp_path)
    async with Running("control", "serve", file) as control:
        await control.says("ready: ")
        configuration = tmp_path / "control" / "nats" / "server.conf"
        (server,) = servers_of(configuration)
        output = {os.readlink(f"/proc/{control.pid}/fd/{number}") for number in (1, 2)}
        assert not output & {os.readlink(f"/proc/{server}/fd/{number}") for number in os.listdir(f"/proc/{server}/fd")}
        control.send(signal.SIGKILL)
        assert await control.ended() == -signal.SIGKILL
    await until(lambda: not servers_of(configuration), seconds=10)


async def test_nothing_starts_a_second_server_beside_that_of_a_running_control_plane(tmp_path: Path) -> None:
    file = control_settings(tmp_path)
    configuration = tmp_path / "control" / "nats" / "server.conf"
    async with Running("control", "serve", file) as control:
        await control.says("ready: ")
        before = servers_of(configuration)
        for words in (("init",), ("restore", "--from", tmp_path)):
            status, told = await command("control", words[0], file, *words[1:])
            assert (status, "a control plane runs its server here already; stop it first" in told) == (2, True), told
        assert (len(before), servers_of(configuration)) == (1, before)
        control.send(signal.SIGTERM)
        assert await control.ended() == 0
    status, told = await command("control", "init", file)
    assert (status, "streams: ready" in told) == (0, True), told


async def test_a_control_planes_server_that_dies_is_started_again_and_its_status_says_so(tmp_path: Path) -> None:
    file = control_settings(tmp_path)
    certificate, key = write_certificate(tmp_path)
    file.write_text(file.read_text().replace("nats: {", f"nats: {{tls: {{certificate: {certificate}, key: {key}}}, "))
    configuration = tmp_path / "control" / "nats" / "server.conf"
    async with Running("control", "serve", file) as control:
        ready = await control.says("ready: ")
        there = ("--control", ready.split()[6].rstrip(","), "--token-file", tmp_path / "control" / "admin.token")
        (before,) = servers_of(configuration)
        os.kill(before, signal.SIGKILL)
        await control.says("the NATS server ended with status -9; another one starts in")
        await control.says("the NATS server was started again (once so far)")
        (after,) = servers_of(configuration)
        assert after != before
        status, told = await command("status", *there)
        assert (status, "the NATS server was started again (once so far), at" in told) == (0, True), told
        control.send(signal.SIGTERM)
        assert await control.ended() == 0
    assert servers_of(configuration) == []


def control_settings(folder: Path) -> Path:
    """Write the configuration of a control plane with a server of its own, and return where it is."""
    file = folder / "control.yaml"
    admin, nats = (f"127.0.0.1:{free_port()}" for _ in range(2))
    file.write_text(f"admin: {admin}\ndata_dir: ./control\nnats: {{listen: {nats}}}\n")
    return file


def servers_of(configuration: Path) -> list[int]:
    """Return the process ids of the servers that run with this configuration."""
    words = [b"-c", str(configuration).encode()]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cmdline").read_bytes().split(b"\0")[1:3] == words:
                found.append(int(entry.name))
    return found


async def test_a_fleet_speaks_tls_and_trusts_only_its_own_authority(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    async with hub(tmp_path / "hub", certificate=str(certificate), certificate_key=str(key)) as running:
        port = running.url.rpartition(":")[2]

        def login() -> object:
            return running.authority.control_login(int(time.time()))

        trusting = ssl.create_default_context(cafile=str(certificate))
        replica = opened(Address((f"tls://localhost:{port}",), login, tls=trusting))  # type: ignore[arg-type]
        assert await replica.begin("first-log", Keeping()) == "first-log"
        await replica.append([Record("fn.a", b"1"), head(1)], {})
        assert [record.value for record in await replica.read()] == [b"1", b"1"]
        await replica.close()
        stranger = opened(Address((f"tls://localhost:{port}",), login, tls=ssl.create_default_context()))  # type: ignore[arg-type]
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.incarnation()
        await stranger.close()


async def test_what_a_server_keeps_is_encrypted_where_it_has_a_key(tmp_path: Path) -> None:
    async with hub(tmp_path / "hub", store_key="0123456789abcdef0123456789abcdef") as running:
        replica = running.control()
        await replica.begin("first-log", Keeping())
        await replica.append([Record("fn.a", SECRET), head(1)], {})
        await replica.put_blob(digest(SECRET), pieces(SECRET))
        await replica.order_purge(SECRET, "op")
        await running.server.stop()
        kept = [path for path in (tmp_path / "hub" / "jetstream").rglob("*") if path.is_file()]
        assert len(kept) > 4
        assert not [path for path in kept if SECRET in path.read_bytes()]
        await running.restart()
        assert [record.value for record in await replica.read()] == [SECRET, b"1"]
        await replica.close()


async def check_is_said_to_be_unavailable(said: bytes) -> None:
    """Answer every connection with `said`; whoever takes that for NATS must say so, and try again."""
    asked = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(said)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        replica = opened(Address((f"nats://127.0.0.1:{port}",)))
        with pytest.raises(UnavailableError, match="no connection to NATS"):
            await replica.incarnation()
        before = asked
        await until(lambda: asked > before, seconds=10)
        await replica.close()


async def test_what_does_not_speak_nats_is_said_to_be_unavailable_and_tried_again() -> None:
    strange = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {\r\n", b"INFO []\r\n", b"\xff" * 5_000, b""]
    await asyncio.gather(*map(check_is_said_to_be_unavailable, strange))


async def test_without_a_key_it_is_not(tmp_path: Path) -> None:
    async with hub(tmp_path / "hub") as running:
        replica = running.control()
        await replica.begin("first-log", Keeping())
        await replica.append([Record("fn.a", SECRET), head(1)], {})
        await replica.close()
        await running.server.stop()
        kept = (path for path in (tmp_path / "hub" / "jetstream").rglob("*") if path.is_file())
        assert any(SECRET in path.read_bytes() for path in kept)
