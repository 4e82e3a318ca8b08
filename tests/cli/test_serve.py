"""`edgefn serve` and `edgefn reload`: starting, swapping the configuration, stopping."""

import asyncio
import os
import signal
import socket
import ssl
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from aiohttp import ClientError, ClientSession

from tests.cli.running import Running, edgefn
from tests.fakes.certificates import write_certificate
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest, answering, ok
from tests.fakes.website import Website
from tests.free_ports import free_port

BROKEN_FUNCTION = "functions: {f: {path: f.js, runtime: nodejs20.x, handler: f.handler, provisioned: 1}}\n"


def configuration(tmp_path: Path, origin: str, *lines: str, admin: str | int = "off", listen: int = 0) -> Path:
    """Write a configuration that sends everything to `origin`; its drain is long enough for any machine."""
    if isinstance(admin, int):
        admin = f"127.0.0.1:{admin}"
    text = f"""
location: fra1
listen: 127.0.0.1:{listen}
admin: {admin}
data_dir: ./var
access_log: off
origins: {{app: {{url: "http://{origin}"}}}}
routes: [{{path: "*", origin: app, cache: {{policy: CachingDisabled}}}}]
"""
    path = tmp_path / "edgefn.yaml"
    path.write_text(text + "".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
async def viewer() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def text(viewer: ClientSession, url: str) -> str:
    async with viewer.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def command(*arguments: str | Path) -> tuple[int, str]:
    """Run a command to its end; return its status and all that it wrote."""
    async with Running(*arguments) as running:
        return await running.ended(), running.told


async def test_it_says_when_it_is_ready_and_stops_on_sigterm(tmp_path: Path, viewer: ClientSession) -> None:
    async with Website() as site, Running("serve", configuration(tmp_path, site.address)) as location:
        line = await location.says("ready: ")
        assert line.startswith("ready: fra1 listens on http://127.0.0.1:")
        assert await text(viewer, f"{line.split()[-1]}/page") == "/page"
        location.send(signal.SIGTERM)
        assert await location.ended() == 0
        assert "Traceback" not in location.told


class SlowSite:
    """A website on which /slow takes until it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.website = Website({"/slow": self._slow})

    async def _slow(self, conversation: Conversation, seen: SeenRequest) -> None:
        self.asked.set()
        await self.go.wait()
        await conversation.send(ok(b"at last"))


async def test_sigterm_lets_a_running_request_end(tmp_path: Path, viewer: ClientSession) -> None:
    slow = SlowSite()
    async with slow.website as site, Running("serve", configuration(tmp_path, site.address)) as location:
        base = await location.url()
        request = asyncio.create_task(text(viewer, f"{base}/slow"))
        await slow.asked.wait()
        location.send(signal.SIGTERM)
        await location.says("stopping")
        await refused(base)
        slow.go.set()
        assert await request == "at last"
        assert await location.ended() == 0


async def refused(base: str) -> None:
    """Wait until nobody can connect any more."""
    host, port = base.removeprefix("http://").split(":")
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0.01)


async def test_a_second_ctrl_c_does_not_wait(tmp_path: Path, viewer: ClientSession) -> None:
    slow = SlowSite()
    async with slow.website as site, Running("serve", configuration(tmp_path, site.address)) as location:
        request = asyncio.create_task(text(viewer, f"{await location.url()}/slow"))
        await slow.asked.wait()
        location.send(signal.SIGINT)
        await location.says("stopping")
        location.send(signal.SIGINT)
        assert await location.ended() == 130
        with pytest.raises(ClientError):
            await request
        assert "Traceback" not in location.told


async def test_a_drain_has_an_end(tmp_path: Path, viewer: ClientSession) -> None:
    slow = SlowSite()
    path = configuration(tmp_path, "127.0.0.1:1", "drain_timeout: 100ms")
    async with slow.website as site:
        path.write_text(path.read_text().replace("127.0.0.1:1", site.address))
        async with Running("serve", path) as location:
            request = asyncio.create_task(text(viewer, f"{await location.url()}/slow"))
            await slow.asked.wait()
            location.send(signal.SIGTERM)
            assert await location.ended() == 0
            with pytest.raises(ClientError):
                await request


@pytest.mark.parametrize("way", ["SIGHUP", "edgefn reload"])
async def test_a_configuration_is_swapped_with_no_failed_request(
    tmp_path: Path, viewer: ClientSession, way: str
) -> None:
    admin, listen = free_port(), free_port()
    async with ScriptedOrigin(answering(ok(b"old"))) as old, ScriptedOrigin(answering(ok(b"new"))) as new:
        path = configuration(tmp_path, old.address, admin=admin, listen=listen)
        async with Running("serve", path) as location, Loop(viewer, f"{await location.url()}/page") as loop:
            await loop.hears("old")
            for name, origin in (("new", new), ("old", old), ("new", new)):
                configuration(tmp_path, origin.address, admin=admin, listen=listen)
                if way == "SIGHUP":
                    location.send(signal.SIGHUP)
                    await location.says("reloaded (routes: 1, functions: 0)")
                else:
                    assert await command("reload", path) == (0, "reloaded (routes: 1, functions: 0)\n")
                await loop.hears(name)


class Loop:
    """Viewers that ask again and again, four at a time, until the block ends; a request that fails ends the test."""

    def __init__(self, viewer: ClientSession, url: str) -> None:
        self._viewer = viewer
        self._url = url
        self._latest = ""
        self._answered = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._tasks = [self._group.create_task(self._ask()) for _ in range(4)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, where)

    async def _ask(self) -> None:
        while True:
            answer = await text(self._viewer, self._url)
            async with self._answered:
                self._latest = answer
                self._answered.notify_all()

    async def hears(self, answer: str) -> None:
        """Wait until the latest answer is this one."""
        async with asyncio.timeout(20), self._answered:
            await self._answered.wait_for(lambda: self._latest == answer)


async def test_a_broken_configuration_changes_nothing_and_says_why(tmp_path: Path, viewer: ClientSession) -> None:
    admin, listen = free_port(), free_port()
    async with Website() as site:
        path = configuration(tmp_path, site.address, admin=admin, listen=listen)
        async with Running("serve", path) as location:
            url = f"{await location.url()}/page"
            path.write_text(path.read_text().replace("origin: app", "origin: ap"))
            location.send(signal.SIGHUP)
            await location.says("was not reloaded")
            wrong = await location.says("routes[0].origin")
            assert 'there is no origin "ap"' in wrong
            assert await text(viewer, url) == "/page"

            status, told = await command("reload", path)
            assert (status, told) == (2, wrong.removeprefix("edgefn:   "))
            assert await text(viewer, url) == "/page"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("location: ams1\n", "location: can't change while the location runs; restart it"),
        ("location: fra1\n" + BROKEN_FUNCTION, "functions.f: can't be started: Runtime.UserCodeSyntaxError"),
    ],
    ids=["needs a restart", "a function that can't be loaded"],
)
async def test_a_reload_that_can_not_be_done_is_refused(
    tmp_path: Path, viewer: ClientSession, change: str, told: str
) -> None:
    (tmp_path / "f.js").write_text("exports.handler = (")
    admin, listen = free_port(), free_port()
    async with Website() as site:
        path = configuration(tmp_path, site.address, admin=admin, listen=listen)
        async with Running("serve", path) as location:
            url = f"{await location.url()}/page"
            path.write_text(path.read_text().replace("location: fra1\n", change))
            status, said = await command("reload", path)
            assert status == 1
            assert "nothing was changed" in said
            assert told in said
            assert await text(viewer, url) == "/page"


async def test_a_reload_that_fails_late_changes_no_certificate(tmp_path: Path) -> None:
    async def shown() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", listen))

    (tmp_path / "f.js").write_text("exports.handler = (")
    listen = free_port()
    certificate, key = write_certificate(tmp_path)
    path = configuration(tmp_path, "127.0.0.1:1", admin=free_port())
    secure = f"{{address: '127.0.0.1:{listen}', certificates: [{{certificate: {certificate}, key: {key}}}]}}"
    path.write_text(path.read_text().replace("listen: 127.0.0.1:0", f"listen: {secure}"))
    async with Running("serve", path) as location:
        await location.says("ready: ")
        first = certificate.read_text()
        assert await shown() == first
        write_certificate(tmp_path)
        good = path.read_text()
        path.write_text(good + BROKEN_FUNCTION)
        status, said = await command("reload", path)
        assert (status, "functions.f: can't be started" in said) == (1, True), said
        assert await shown() == first
        path.write_text(good)
        assert (await command("reload", path))[0] == 0
        assert await shown() == certificate.read_text() != first


async def test_a_bundle_that_is_slow_to_read_holds_nobody_up(tmp_path: Path, viewer: ClientSession) -> None:
    admin, listen = free_port(), free_port()
    async with Website() as site:
        path = configuration(tmp_path, site.address, admin=admin, listen=listen)
        async with Running("serve", path) as location:
            url = f"{await location.url()}/page"
            os.mkfifo(tmp_path / "slow.zip")
            path.write_text(path.read_text() + "functions: {f: {path: slow.zip, runtime: python3.11}}\n")
            reload = asyncio.create_task(command("reload", path))
            # Opens when the location has begun to read, which then waits for us.
            zip_ = await asyncio.to_thread((tmp_path / "slow.zip").open, "wb")
            assert await text(viewer, url) == "/page"
            with zip_, zipfile.ZipFile(zip_, "w") as archive:
                archive.writestr("lambda_function.py", "def lambda_handler(event, context): pass")
            assert await reload == (0, "reloaded (routes: 1, functions: 1)\n")


async def test_no_bundle_stays_behind(tmp_path: Path) -> None:
    function = tmp_path / "f.py"
    function.write_text("def lambda_handler(event, context): return 1")
    lines = "functions: {f: {path: f.py, runtime: python3.11, handler: f.lambda_handler, provisioned: 1}}"
    path = configuration(tmp_path, "127.0.0.1:1", lines, admin=free_port())
    async with Running("serve", path) as location:
        await location.url()
        for version in (2, 3):
            function.write_text(f"def lambda_handler(event, context): return {version}")
            assert (await command("reload", path))[0] == 0
        left = [file.name for file in (tmp_path / "var" / "bundles").rglob("*") if file.is_file()]
        assert left == [".lock"]
        location.send(signal.SIGTERM)
        assert await location.ended() == 0
    assert list((tmp_path / "var" / "bundles").iterdir()) == []


def test_a_function_that_can_not_be_loaded_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "f.js").write_text("exports.handler = (")
    done = edgefn("serve", configuration(tmp_path, "127.0.0.1:1", BROKEN_FUNCTION))
    assert (done.returncode, done.stdout) == (2, "")
    assert "functions.f: can't be started: Runtime.UserCodeSyntaxError: SyntaxError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", ["listen", "admin"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        path = configuration(tmp_path, "127.0.0.1:1", **{what: port})  # type: ignore[arg-type]
        done = edgefn("serve", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{what}: 127.0.0.1:{port} can't be had: it is in use; stop what listens there, or choose another port\n"
    )


@pytest.mark.parametrize("made", ["a file", "a token that is a folder"])
def test_a_data_dir_that_can_not_be_written_is_named(tmp_path: Path, made: str) -> None:
    var = tmp_path / "var"
    if made == "a file":
        var.write_text("")
    else:
        (var / "admin.token").mkdir(parents=True)
    done = edgefn("serve", configuration(tmp_path, "127.0.0.1:1", admin=free_port()))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"data_dir: {var}")
    assert "can't be" in done.stderr
    assert "Traceback" not in done.stderr


async def test_health_tells_how_strong_the_walls_are(tmp_path: Path, viewer: ClientSession) -> None:
    (tmp_path / "f.py").write_text("def lambda_handler(event, context): return 1")
    admin = free_port()
    lines = "functions: {f: {path: f.py, runtime: python3.11, handler: f.lambda_handler}}"
    async with Running("serve", configuration(tmp_path, "127.0.0.1:1", lines, admin=admin)) as location:
        tier = (await location.says("functions run in sandboxes of tier ")).split()[-1]
        await location.url()
        headers = {"Authorization": f"Bearer {(tmp_path / 'var' / 'admin.token').read_text().strip()}"}
        async with viewer.get(f"http://127.0.0.1:{admin}/health", headers=headers) as answer:
            assert (await answer.json())["sandbox"] == tier
    assert tier in {"full", "no-cgroup"}


async def test_only_who_has_the_token_can_reload(tmp_path: Path, viewer: ClientSession) -> None:
    admin = free_port()
    token = tmp_path / "var" / "admin.token"
    token.parent.mkdir()
    token.write_text("")  # what a full disk leaves behind
    async with Running("serve", configuration(tmp_path, "127.0.0.1:1", admin=admin)) as location:
        await location.url()
        for said in ("", "Bearer", "Bearer ", "Bearer wrong"):
            headers = {"Authorization": said}
            async with viewer.post(f"http://127.0.0.1:{admin}/reload", headers=headers) as answer:
                assert answer.status == 401
                assert "admin.token" in (await answer.json())["error"]["message"]
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        async with viewer.get(f"http://127.0.0.1:{admin}/health", headers=headers) as answer:
            told = await answer.json()
            assert (told["location"], told["sandbox"]) == ("fra1", "")
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text().strip()) == 64


def test_a_bundle_that_can_not_be_stored_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.js").write_text("exports.handler = async () => 1")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "bundles").write_text("")
    done = edgefn("serve", configuration(tmp_path, "127.0.0.1:1", BROKEN_FUNCTION))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"data_dir: {tmp_path}/var/bundles can't be made: File exists" in done.stderr


def test_reload_says_that_nothing_runs(tmp_path: Path) -> None:
    path = configuration(tmp_path, "127.0.0.1:1", admin=free_port())
    nowhere = edgefn("reload", path)
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert f"{tmp_path}/var/admin.token: No such file or directory; is a location running" in nowhere.stderr

    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "admin.token").write_text("secret\n")
    gone = edgefn("reload", path)
    assert gone.returncode == 1
    assert "edgefn reload: nobody answers at http://127.0.0.1:" in gone.stderr


def test_reload_without_an_admin_address_says_what_to_do_instead(tmp_path: Path) -> None:
    done = edgefn("reload", configuration(tmp_path, "127.0.0.1:1"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "send SIGHUP to the process instead" in done.stderr
