"""`edgefn token`, and how a command finds its control plane."""

from pathlib import Path

import pytest

from tests.cli.running import Running, edgefn
from tests.cli.test_serve import command, configuration
from tests.free_ports import free_port


async def test_a_token_is_made_used_and_revoked(tmp_path: Path) -> None:
    admin = free_port()
    path = configuration(tmp_path, "127.0.0.1:1", admin=admin)
    async with Running("serve", path) as location:
        await location.url()
        status, told = await command("token", "new", "ci", "--scope", "admin", "--config", path)
        assert (status, len(told.strip())) == (0, 64)
        secret = tmp_path / "ci.token"
        secret.write_text(told)
        there = ("--control", f"http://127.0.0.1:{admin}", "--token-file", secret)
        status, told = await command("token", "list", *there)
        assert (status, told.split()[:6]) == (0, ["NAME", "SCOPES", "CREATED", "EXPIRES", "ci", "admin"])
        assert await command("token", "revoke", "ci", "--config", path) == (0, "revoked: ci\n")
        status, told = await command("token", "list", *there)
        assert (status, "this token counts for nothing here" in told) == (1, True)
        audit = (tmp_path / "var" / "audit.log").read_text()
        assert [audit.count(word) for word in ('"issue-token"', '"revoke-token"', secret.read_text().strip())] == [
            1,
            1,
            0,
        ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--control", "ftp://x"), "is no URL of a control API; write http://127.0.0.1:8081"),
        (("--control", "http://127.0.0.1:1"), "give --token-file FILE, or set EDGEFN_TOKEN"),
        (("--control", "http://127.0.0.1:1", "--config", "x.yaml"), "name two control planes"),
        (("--token-file", "x"), "--token-file goes with --control URL"),
        ((), "which control plane? there is no ./edgefn.yaml; give --config CONFIG, or --control URL"),
    ],
)
def test_a_command_that_can_not_tell_its_control_plane_says_how_to(arguments: tuple[str, ...], told: str) -> None:
    done = edgefn("token", "list", *arguments, environment={"EDGEFN_CONTROL": "", "EDGEFN_TOKEN": ""})
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_nobody_at_the_address_is_a_failure() -> None:
    there = {"EDGEFN_CONTROL": f"http://127.0.0.1:{free_port()}", "EDGEFN_TOKEN": "x"}
    done = edgefn("token", "list", environment=there)
    assert (done.returncode, done.stdout) == (1, "")
    assert "edgefn token: nobody answers at http://127.0.0.1:" in done.stderr
