"""`edgefn apply`: what locations share, published from a file; what it changes is shown, and can be taken back."""

import asyncio
import json
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from edgefn.cli.connecting import client_of
from edgefn.cli.reading import read_settings
from edgefn.configuration.document import parse
from edgefn.configuration.sharing import shared_part
from tests.cli.running import Here, Running
from tests.cli.test_serve import command
from tests.cli.test_workers import children
from tests.fakes.certificates import write_certificate
from tests.fakes.scripted_origin import ScriptedOrigin, answering, ok
from tests.fakes.website import Website, page
from tests.free_ports import free_port
from tests.waiting import until

CODE = "exports.handler = async () => ({status: '200', body: 'greeted'});\n"


class Machine:
    """One machine whose file follows the site `shop`, two websites, somebody at its command line, and a viewer."""

    def __init__(self, folder: Path, stack: AsyncExitStack, viewer: ClientSession, old: Website, new: Website) -> None:
        self.folder = folder
        self.config = folder / "edgefn.yaml"
        self.old, self.new = old.address, new.address
        self._stack = stack
        self._viewer = viewer

    def write(self, workers: int = 1, more: str = "site: shop\n") -> None:
        self.config.write_text(f"""
location: fra1
listen: 127.0.0.1:{free_port()}
admin: 127.0.0.1:{free_port()}
data_dir: ./var
workers: {workers}
access_log: off
{more}""")

    async def serve(self) -> Running:
        self.location = await self._stack.enter_async_context(Running("serve", self.config))
        self.url = await self.location.url()
        return self.location

    def shop(self, address: str, hook: str = "", more: str = "", origin: str = "") -> Path:
        """Write what is to be published."""
        file = self.folder / "shop.yaml"
        hooks = f", hooks: {{viewer-request: '{hook}'}}" if hook else ""
        file.write_text(f"""\
site: shop
origins:
  app: {{url: "http://{address}"{origin}}}
routes:
  - {{path: "*", origin: app, cache: {{policy: CachingDisabled}}{hooks}}}
{more}""")
        return file

    async def apply(self, *arguments: str | Path) -> tuple[int, str]:
        return await command("apply", *arguments, "--config", self.config)

    async def get(self) -> tuple[int, str]:
        async with self._viewer.get(f"{self.url}/page") as answer:
            return answer.status, (await answer.text()) if answer.status == 200 else ""


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with (
        Website({"/page": page(200, b"old")}) as old,
        Website({"/page": page(200, b"new")}) as new,
        ClientSession(connector=TCPConnector(force_close=True)) as viewer,
        AsyncExitStack() as stack,
    ):
        yield Machine(tmp_path, stack, viewer, old, new)
        await stack.aclose()


async def test_the_differences_are_shown_then_published_and_taken_back(machine: Machine) -> None:
    machine.write()
    await machine.serve()
    file = machine.shop(machine.old, origin=", headers: {X-Key: secret-word}")
    status, told = await machine.apply(file, "--dry-run")
    assert (status, "nothing was changed (--dry-run)" in told, "secret-word" in told) == (0, True, False), told
    assert "site shop: configuration none -> 1, 4 differences" in told
    assert "  + origins.app.headers.X-Key: (not shown)" in told
    assert (await machine.get())[0] == 503
    status, told = await command("status", "--config", machine.config)
    assert (status, "fra1: configuration shop is not in use: nothing is published for it" in told) == (1, True), told

    status, told = await machine.apply(file)
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert await machine.get() == (200, "old")
    status, told = await machine.apply(file)
    assert (status, "configuration 1 has all of this already" in told) == (0, True), told

    status, told = await machine.apply(machine.shop(machine.new, origin=", headers: {X-Key: another}"))
    assert (status, f"  ~ origins.app.url: http://{machine.old} -> http://{machine.new}" in told) == (0, True), told
    assert "  ~ origins.app.headers.X-Key: changed (its values are not shown)" in told
    assert await machine.get() == (200, "new")

    status, told = await machine.apply("--rollback", "--site", "shop", "--json")
    document = json.loads(told[told.index("{") : told.rindex("}") + 1])  # beside the progress on standard error
    assert (status, document["before"], document["revision"], document["progress"]["current"]) == (0, 2, 1, ["fra1"])
    assert await machine.get() == (200, "old")
    status, told = await machine.apply("--rollback", "--site", "shop")
    assert (status, "a configuration before 1 of site shop is not there" in told) == (1, True), told
    assert (await machine.apply("--rollback", "--to", "2", "--site", "shop"))[0] == 0
    assert await machine.get() == (200, "new")
    status, told = await command("status", "--config", machine.config)
    assert (status, "shop 2" in told) == (0, True), told
    status, told = await machine.apply("--list", "--site", "shop")
    assert (status, [line.split()[0] for line in told.splitlines()]) == (0, ["CONFIGURATION", "2", "1"]), told
    assert "in force" in told.splitlines()[1]


async def test_a_whole_file_publishes_what_locations_share_and_goes_on_to_be_the_machine_s(machine: Machine) -> None:
    routes = f'origins: {{app: {{url: "http://{machine.old}"}}}}\nroutes: [{{path: "*", origin: app}}]\n'
    machine.write(more=routes)
    await machine.serve()
    status, told = await command("apply", machine.config)
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    own = "each location's own, and not published: location, listen, admin, data_dir, workers, access_log"
    assert own in told
    machine.config.write_text(machine.config.read_text().replace(machine.old, machine.new))
    assert (await command("reload", machine.config))[0] == 0
    assert await machine.get() == (200, "old"), "what is published counts, and not what the file says of the same"
    hooked = machine.config.read_text().replace("origin: app", "origin: app, hooks: {viewer-request: greet}")
    (machine.folder / "greet.js").write_text(CODE)
    machine.config.write_text(hooked + "functions: {greet: {path: greet.js, runtime: js}}\n")
    status, told = await command("apply", machine.config)
    assert (status, '  + routes["*"].hooks.viewer-request: greet' in told) == (0, True), told
    assert await machine.get() == (200, "greeted"), "a function of the file, which was read again"
    machine.config.write_text(machine.config.read_text().replace(", hooks: {viewer-request: greet}", ""))
    status, told = await command("apply", "--rollback", machine.config, "--to", "1")
    assert (status, await machine.get()) == (0, (200, "old")), told
    status, told = await command("apply", machine.config)
    assert (status, f"  ~ origins.app.url: http://{machine.old} -> http://{machine.new}" in told) == (0, True), told
    assert await machine.get() == (200, "new")


async def test_what_is_wrong_is_told_by_its_line_and_changes_nothing(machine: Machine) -> None:
    machine.write()
    await machine.serve()
    assert (await machine.apply(machine.shop(machine.old)))[0] == 0
    broken = machine.shop(machine.new, more="error_pages: {404: gone.html}\nworkers: 2\n")
    status, told = await machine.apply(broken)
    assert status == 2
    assert f'{broken}:6: error_pages.404: "gone.html" does not fit; write a path such as /errors/404.html' in told
    assert f"{broken}:7: workers: is each location's own; write it into the location's own file" in told
    status, told = await machine.apply(machine.shop(machine.new, "greet:live"))
    assert status == 1
    assert 'routes[0].hooks.viewer-request: there is no function "greet"; `edgefn deploy PATH --name greet`' in told
    status, told = await machine.apply(machine.shop(machine.new, "greet"))
    assert (status, 'routes[0].hooks.viewer-request: there is no function "greet"' in told) == (1, True), told
    assert await machine.get() == (200, "old")


async def test_what_a_configuration_names_can_not_be_deleted_while_it_is_in_force(machine: Machine) -> None:
    machine.write()
    await machine.serve()
    code = machine.folder / "fn" / "index.js"
    code.parent.mkdir()
    code.write_text(CODE)
    there = ("--config", machine.config)
    assert (await command("deploy", code.parent, "--name", "greet", "--runtime", "js", *there))[0] == 0
    assert (await machine.apply(machine.shop(machine.old)))[0] == 0
    assert (await machine.apply(machine.shop(machine.old, "greet:live")))[0] == 0
    assert await machine.get() == (200, "greeted")
    status, told = await command("alias", "delete", "greet", "live", *there)
    assert (status, "of the configuration of site shop" in told) == (1, True), told
    assert (await machine.apply("--rollback", "--site", "shop"))[0] == 0
    async with asyncio.timeout(20):  # the location lets go of it when it says so
        while (await command("alias", "delete", "greet", "live", *there))[0] != 0:
            pass
    status, told = await machine.apply("--rollback", "--to", "2", "--site", "shop")
    assert (status, 'greet has no alias "live"' in told) == (1, True), told


async def test_no_request_fails_in_two_workers_while_configurations_are_put_in_force(machine: Machine) -> None:
    machine.write(workers=2)
    await machine.serve()
    assert (await machine.apply(machine.shop(machine.old)))[0] == 0
    answers: list[tuple[int, str]] = []
    stop = asyncio.Event()

    async def viewer() -> None:
        while not stop.is_set():
            answers.append(await machine.get())
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as viewers:
        for _ in range(4):
            viewers.create_task(viewer())
        for address, word in ((machine.new, "new"), (machine.old, "old")):
            status, told = await machine.apply(machine.shop(address))
            assert (status, "done: 1 of 1 location" in told) == (0, True), told
            assert {await machine.get() for _ in range(10)} == {(200, word)}
        stop.set()
    assert {status for status, _ in answers} == {200}
    assert {word for _, word in answers} == {"old", "new"}


async def test_what_a_location_of_two_workers_can_not_take_is_told_and_a_new_worker_starts_as_the_others(
    machine: Machine,
) -> None:
    machine.write(workers=2)
    location = await machine.serve()
    assert (await machine.apply(machine.shop(machine.old)))[0] == 0
    lacking = shared_part(parse(machine.shop(machine.new, origin=", tls: {ca: missing.pem}").read_text(), "shop.yaml"))
    client = client_of(read_settings(str(machine.config)))
    await client.change("PUT", "/v1/configurations/shop", {"shared": lacking})
    why = f"fra1: configuration shop 2 is not in use: {machine.config}: origins.app.tls.ca: there is no file"
    async with asyncio.timeout(30):
        while why not in (told := (await command("status", "--config", machine.config))[1]):
            pass
    assert "failing" in told
    assert {await machine.get() for _ in range(10)} == {(200, "old")}

    assert (await machine.apply(machine.shop(machine.new)))[0] == 0
    os.kill(children(location.pid)[0], signal.SIGKILL)
    await location.says("ended with status -9")
    await until(lambda: len(children(location.pid)) == 2)
    assert {await machine.get() for _ in range(20)} == {(200, "new")}


async def test_a_location_that_is_killed_while_it_takes_a_configuration_comes_back_with_it(machine: Machine) -> None:
    machine.write(workers=2)
    location = await machine.serve()
    assert (await machine.apply(machine.shop(machine.old)))[0] == 0
    shared = shared_part(parse(machine.shop(machine.new).read_text(), "shop.yaml"))
    told = await client_of(read_settings(str(machine.config))).change(
        "PUT", "/v1/configurations/shop", {"shared": shared}
    )
    location.send(signal.SIGKILL)  # it is published, and hardly more than that
    await location.ended()
    assert told["revision"] == 2
    await machine.serve()
    assert {await machine.get() for _ in range(10)} <= {(200, "old"), (200, "new")}
    async with asyncio.timeout(20):
        while {await machine.get() for _ in range(10)} != {(200, "new")}:
            pass


async def test_a_site_that_nobody_follows_is_told_of_at_once(machine: Machine) -> None:
    machine.write()
    await machine.serve()
    status, told = await machine.apply(machine.shop(machine.old), "--site", "other")
    assert (status, "no location follows site other" in told) == (3, True), told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "CONFIG is missing: the file to publish; or --rollback, --list or --delete"),
        (("--to", "3", "x.yaml"), "--to NUMBER goes with --rollback"),
        (("--rollback", "--to", "x"), "'x' is no number of a configuration"),
        (("--rollback", "--site", "../x"), "'../x' can't name a site"),
        (("nowhere.yaml",), "nowhere.yaml: can't be read"),
        (("--delete", "shop.yaml"), "--delete takes no CONFIG (shop.yaml); --site NAME says whose"),
        (("--delete", "--rollback"), "not allowed with argument"),
    ],
)
def test_unusable_arguments_are_told(here: Here, arguments: tuple[str, ...], told: str) -> None:
    done = here("apply", *arguments)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


async def test_what_no_location_follows_any_more_is_deleted_and_a_location_that_comes_back_lets_go(
    machine: Machine,
) -> None:
    own = f'origins: {{app: {{url: "http://{machine.new}"}}}}\nroutes: [{{path: "*", origin: app}}]\n'
    machine.write(more=f"site: shop\n{own}")
    location = await machine.serve()
    for address in (machine.new, machine.old):
        assert (await machine.apply(machine.shop(address)))[0] == 0
    delete = ("--delete", "--site", "shop")
    status, told = await machine.apply(*delete)
    assert (status, "the configuration of site shop is in use at fra1" in told, "or retire it" in told) == (
        1,
        True,
        True,
    )
    status, told = await machine.apply("--delete", "--site", "other")
    assert (status, 'nothing is published for a site "other"; there are: shop' in told) == (1, True), told

    async def starts_again(site: str) -> None:
        nonlocal location
        location.send(signal.SIGTERM)
        await location.ended()
        machine.write(more=f"site: {site}\n{own}")
        location = await machine.serve()

    await starts_again("off")
    assert await machine.get() == (200, "new")
    status, told = await machine.apply(*delete, "--dry-run")
    assert (status, "configuration 2, and 1 older one, would be deleted (--dry-run)" in told) == (0, True), told
    kept = machine.folder / "var" / "configuration.json"
    assert not kept.exists()
    assert await machine.apply(*delete) == (0, "site shop: deleted (generation 3)\n")
    status, told = await machine.apply("--list", "--site", "shop")
    assert (status, "nothing is published for a site 'shop'" in told) == (1, True), told
    audited = [json.loads(line) for line in (machine.folder / "var" / "audit.log").read_text().splitlines()]
    outcomes = [(line["outcome"], line.get("dry_run")) for line in audited if line["what"] == "unconfigure"]
    assert outcomes[-2:] == [("done", True), ("done", False)]
    await starts_again("shop")
    assert await machine.get() == (200, "new"), "its own file's"
    status, told = await machine.apply(machine.shop(machine.old))
    assert (status, "configuration none -> 3" in told, await machine.get()) == (0, True, (200, "old")), told


async def test_the_certificates_that_an_origin_is_trusted_by_travel_with_the_configuration(machine: Machine) -> None:
    machine.write()
    location = await machine.serve()
    certificate, key = write_certificate(machine.folder, "origin")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with ScriptedOrigin(answering(ok(b"by TLS")), tls=tls) as origin:
        file = machine.folder / "elsewhere" / "shop.yaml"
        file.parent.mkdir()
        authorities = file.parent / "authorities.pem"

        def shop(origin_tls: str) -> None:
            file.write_text(
                f"site: shop\norigins:\n  app:\n    url: https://localhost:{origin.port}\n    tls: {{{origin_tls}}}\n"
                'routes: [{path: "*", origin: app, cache: {policy: CachingDisabled}}]\n'
            )

        for content, told_of in (
            (None, "authorities.pem can't be read: No such file"),
            ("nothing", "authorities.pem holds no certificates in PEM"),
            (certificate.read_text() + key.read_text(), "authorities.pem holds a private key"),
            (certificate.read_text().replace("MII", "MIJ"), "certificate 1 of 1 in it is damaged"),
        ):
            if content is not None:
                authorities.write_text(content)
            shop("ca: authorities.pem")
            status, told = await machine.apply(file)
            assert (status, f"{file}:5: origins.app.tls.ca: " in told, told_of in told) == (2, True, True), told
        authorities.write_text("subject=whoever\n" + certificate.read_text() * 2)
        status, told = await machine.apply(file)
        assert (status, "+ origins.app.tls.ca: 1 certificate (SHA-256 " in told) == (0, True), told
        assert await machine.get() == (200, "by TLS")
        shutil.rmtree(file.parent)
        location.send(signal.SIGTERM)
        await location.ended()
        await machine.serve()
        assert await machine.get() == (200, "by TLS")
        other = write_certificate(machine.folder, "other")[0]
        file.parent.mkdir()
        shop(f"ca: {other}")
        status, told = await machine.apply(file)
        assert (status, "~ origins.app.tls.ca: 1 certificate (SHA-256 " in told) == (0, True), told
        assert (await machine.get())[0] == 502, "whoever did not sign it is not believed"
