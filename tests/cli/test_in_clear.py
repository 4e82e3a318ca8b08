"""Tokens and keys go over a network in clear only where somebody said so."""

from pathlib import Path

import pytest

from tests.cli.running import Here, edgefn


@pytest.mark.parametrize(
    "words", [("functions",), ("status",), ("location", "add", "fra1"), ("purge", "--all"), ("rollback", "hello")]
)
def test_no_command_sends_its_token_in_clear_unless_told_to(here: Here, words: tuple[str, ...]) -> None:
    done = here(*words, "--control", "http://nowhere.invalid:1", "--token-file", "/dev/null")
    assert done.returncode == 2
    assert "would go over the network in clear; give the control plane a certificate" in done.stderr
    assert "--insecure-http" in done.stderr


def test_neither_does_a_location_that_joins(tmp_path: Path, here: Here) -> None:
    config = tmp_path / "edgefn.yaml"
    origin = "{app: {url: 'http://127.0.0.1:9'}}"
    route = "[{path: '*', origin: app}]"
    config.write_text(f"location: fra1\nlisten: 127.0.0.1:0\norigins: {origin}\nroutes: {route}\n")
    joining = ("location", "join", str(config), "--control", "http://nowhere.invalid:1", "--token", "secret")
    done = here(*joining)
    assert (done.returncode, "would go over the network in clear" in done.stderr) == (2, True)
    done = edgefn(*joining, "--insecure-http")
    assert (done.returncode, "nobody answers at http://nowhere.invalid:1" in done.stderr) == (1, True)
