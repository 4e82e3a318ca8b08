"""Every command in the README is run, with its ports moved and `edgefn` as this checkout has it."""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.curl import curl
from tests.cli.running import CHECKOUT, Running, edgefn
from tests.free_ports import free_port

README = (CHECKOUT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
CONFIGURATION = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0]


def arguments(beginning: str) -> list[list[str]]:
    """Return the arguments of each `edgefn` command that begins so."""
    found = [shlex.split(command)[1:] for command in COMMANDS if command.startswith(".venv/bin/edgefn")]
    return [given for given in found if given[0] == beginning]


def asks_a_location(given: list[str]) -> bool:
    return "--config" in given


def test_each_command_is_one_that_a_test_below_runs() -> None:
    known = {"make demo", "make test", "curl -i http://127.0.0.1:8080/home"}
    rest = [command for command in COMMANDS if command not in known]
    assert {shlex.split(command)[0] for command in rest} == {".venv/bin/edgefn"}
    assert {shlex.split(command)[1] for command in rest} == {
        *("invoke", "event", "check", "serve", "reload", "doctor"),
        *("deploy", "status", "logs"),
    }


@pytest.mark.parametrize(("target", "runs"), [("demo", ".venv/bin/edgefn demo"), ("test", ".venv/bin/pytest")])
def test_the_two_commands_are_targets_that_do_what_they_say(target: str, runs: str) -> None:
    told = subprocess.run(["make", "-n", target], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
    assert runs in told.stdout
    assert "prepare.py" in told.stdout


async def test_the_curl_line_shows_what_the_readme_says() -> None:
    async with Running("demo", "--port", "0") as demo:
        line = await demo.says("edgefn demo: http")
        url = re.findall(r"http://\S+", line)[0]
        command = next(command for command in COMMANDS if command.startswith("curl"))
        moved = command.replace("http://127.0.0.1:8080", url)
        first, second = [await curl(moved) for _ in range(2)]
        assert "X-Client: 127.0.0.1" in first
        assert "Strict-Transport-Security" in first
        assert "X-Cache: Hit from cloudfront" in second
        assert "\nAge: " in second
        demo.send(signal.SIGINT)
        await demo.ended()


SHORT = [given for name in ("invoke", "event", "doctor") for given in arguments(name) if not asks_a_location(given)]


@pytest.mark.parametrize("given", SHORT, ids=" ".join)
def test_the_short_commands_end_well(given: list[str]) -> None:
    done = edgefn(*given)
    assert done.returncode == 0, done.stderr
    assert done.stdout


async def test_the_configuration_is_checked_served_and_reloaded(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("8080", str(free_port())).replace("8081", str(free_port()))
    text = text.replace("hooks/", f"{CHECKOUT}/hooks/", 1).replace("./var", str(tmp_path / "var"))
    (tmp_path / "my.yaml").write_text(text)
    for given in arguments("check"):
        done = edgefn(*_in(tmp_path, given))
        assert (done.returncode, "ok" in done.stdout) == (0, True), done.stderr
    for given in arguments("serve"):
        async with Running(*_in(tmp_path, given)) as location:
            url = await location.url()
            assert "401 Unauthorized" in await curl(f"curl -i {url}/private/x")
            for also in arguments("reload"):
                async with Running(*_in(tmp_path, also)) as reload:
                    assert await reload.ended() == 0, reload.told
            for asking in [given for name in ("deploy", "status", "invoke", "logs") for given in arguments(name)]:
                if asks_a_location(asking):
                    async with Running(*_in(tmp_path, asking)) as asked:
                        assert await asked.ended() == 0, asked.told
                        assert asked.told
            location.send(signal.SIGTERM)
            assert await location.ended() == 0


def _in(folder: Path, given: list[str]) -> list[str]:
    return [str(folder / word) if word == "my.yaml" else word for word in given]
