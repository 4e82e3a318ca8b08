"""Servers of somebody else's that a fleet can't use: each says in which way, and what its owner must do."""

import asyncio
import os
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.inspecting import Inspected, advice, inspected
from edgefn.functions.replicas.nats.server import ServerSettings, start
from edgefn.model.control_settings import ControlSettings, NatsSettings
from edgefn.model.errors import SettingsError
from edgefn.node.control_plane import prepare
from edgefn.node.hub import open_hub
from tests.fakes.certificates import write_certificate
from tests.functions.nats.stage import PROGRAM, begun

OLD_INFO = b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"nonce":"abc","auth_required":true}\r\n'


async def why_not(folder: Path, server: str, ca_file: str = "") -> str:
    """Return what a control plane says that is to use a server."""
    settings = ControlSettings(data_dir=str(folder), nats=NatsSettings((server,), ca_file=ca_file))
    prepare(settings)
    async with AsyncExitStack() as stack:
        with pytest.raises(SettingsError) as raised:
            await open_hub(stack, settings, print)
    return str(raised.value)


def obeying(folder: Path) -> str:
    """Return the configuration of a server that obeys the control plane in `folder`."""
    prepare(ControlSettings(data_dir=str(folder)))
    authority = Authority.read((folder / "nats-authority.json").read_text())
    return authority.server_settings(str(folder / "accounts"), int(time.time()))


async def check(folder: Path, settings: ServerSettings, scheme: str, words: str, ca_file: str = "") -> None:
    server = await start(replace(settings, max_disk="1GB", max_memory="64MB"), PROGRAM)
    try:
        port = server.url.rpartition(":")[2]
        assert words in await why_not(folder, f"{scheme}://localhost:{port}", ca_file)
    finally:
        await server.stop()


async def test_a_server_that_obeys_nobody_somebody_else_or_has_no_tls_or_no_streams_is_told_what_it_lacks(
    tmp_path: Path,
) -> None:
    certificate, key = map(str, write_certificate(tmp_path))
    stranger = Authority.begin(os.urandom).server_settings(str(tmp_path / "stranger"), int(time.time()))
    ours = {name: obeying(tmp_path / name) for name in ("clear", "streams", "ca")}
    plain = ServerSettings("open", tmp_path / "n1")
    without = ServerSettings("streams", tmp_path / "n4", authority=f"jetstream: disabled\n{ours['streams']}")
    encrypted = ServerSettings("ca", tmp_path / "n5", authority=ours["ca"], certificate=certificate)
    async with asyncio.TaskGroup() as group:
        for folder, settings, scheme, words in (
            ("open", plain, "nats", "lets everybody in: it obeys no operator; a server of your own must include"),
            ("wrong", ServerSettings("wrong", tmp_path / "n2", authority=stranger), "nats", "Authorization Violation"),
            ("clear", ServerSettings("clear", tmp_path / "n3", authority=ours["clear"]), "tls", "speaks no TLS"),
            ("streams", without, "nats", "there is no JetStream: the servers' configuration needs jetstream {"),
            ("ca", replace(encrypted, certificate_key=key), "tls", "is not trusted"),
        ):
            group.create_task(check(tmp_path / folder, settings, scheme, words))


async def test_an_old_server_is_refused_by_its_version(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OLD_INFO)
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        with suppress(OSError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        assert "is NATS 2.9; edgefn needs 2.12 or newer" in await why_not(tmp_path, f"nats://127.0.0.1:{port}")


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    assert "holds no certificate" in await why_not(tmp_path / "a", "tls://localhost:1", str(tmp_path / "ca.pem"))
    assert "there is no such file" in await why_not(tmp_path / "b", "tls://localhost:1", str(tmp_path / "no.pem"))


async def test_servers_say_whether_they_are_safe_against_a_loss_of_power(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, _):
        link = hub.system()
        (found,) = await inspected(link)
        await link.close()
    assert (found.name, found.has_jetstream, found.syncs_always, advice([found], 1, 1)) == ("hub", True, True, [])


def test_what_servers_lack_is_told_to_their_operator() -> None:
    lazy, empty = Inspected("n1", "2.15.1", True, False), Inspected("n2", "2.15.1", False, False)
    told = "\n".join(advice([lazy, empty], 3, 1))
    for words in (
        "n1 writes to its disk every two minutes or so",
        "n2 has no JetStream",
        "3 addresses are named, and 2 of the servers answer (n1, n2)",
        "say nats: {copies: 3}",
    ):
        assert words in told
