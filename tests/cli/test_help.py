"""Help: every command says what it is for, with examples that work."""

import re
import shlex

import pytest

from edgefn.cli.main import COMMANDS, command_module, parser_for
from tests.cli.running import Here, edgefn

EXAMPLES = {
    name: [
        command
        for line in command_module(name).EXAMPLES.splitlines()
        if line.startswith("  edgefn ")
        for command in line.strip().split(" | ")
    ]
    for name in COMMANDS
}


def test_the_front_page_lists_the_commands(here: Here) -> None:
    done = here("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^    ([a-z]+) ", done.stdout, re.MULTILINE) == list(COMMANDS)
    assert all(summary in done.stdout for summary in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(here: Here, name: str) -> None:
    done = here(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: edgefn {name} ")
    assert COMMANDS[name][1:] in done.stdout
    assert f"examples:\n  edgefn {name}" in done.stdout


@pytest.mark.parametrize("command", [command for commands in EXAMPLES.values() for command in commands])
def test_every_example_parses(command: str) -> None:
    words = shlex.split(re.split(r" > |   +", command)[0])
    assert words[0] == "edgefn"
    given = parser_for(words[1:]).parse_args(words[1:])
    assert callable(given.run)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name: str) -> None:
    assert any(command.split()[1] == name for command in EXAMPLES[name])


def test_no_command_at_all_is_answered_with_the_front_page(here: Here) -> None:
    done = here()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == here("--help").stdout


@pytest.mark.parametrize(
    ("word", "told"),
    [("serv", "'serv'; did you mean serve?"), ("lgos", "did you mean logs?"), ("x", "there is serve, check, reload")],
)
def test_what_is_no_command_is_answered_with_the_nearest(here: Here, word: str, told: str) -> None:
    done = here(word, "config.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edgefn: there is no command ")
    assert told in done.stderr


def test_the_version_is_told() -> None:
    done = edgefn("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"edgefn (\d+\.\d+\S*|\(from a checkout\))\n", done.stdout)


def test_help_loads_nothing_that_takes_long() -> None:
    done = edgefn("--help", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.stdout.startswith("usage: edgefn ")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in loaded
    assert loaded.isdisjoint({"asyncio", "aiohttp", "uvloop", "ssl", "yaml", "edgefn.node.location"})


ACTIONS = {
    "alias": ("list", "set", "delete"),
    "control": ("serve", "init", "restore"),
    "keys": ("new", "show", "trust", "distrust", "sign", "forget", "root", "publisher", "authorize", "cosign", "pin"),
    "kvs": ("put", "get", "list", "delete", "import"),
    "location": ("add", "join", "list", "drain", "activate", "retire", "revoke"),
    "token": ("new", "list", "revoke"),
}


@pytest.mark.parametrize(("name", "action"), [(name, action) for name in ACTIONS for action in ACTIONS[name]])
def test_every_action_says_what_it_does_with_an_example(here: Here, name: str, action: str) -> None:
    done = here(name, action, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    _, usage_ends, said = done.stdout.partition("\n\n")
    assert usage_ends
    assert re.match(r"[A-Z].*\.\n", said), done.stdout
    assert f"\nexamples:\n  edgefn {name} {action}" in done.stdout
