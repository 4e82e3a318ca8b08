"""The small decisions about workers: their environment, their endings, their back-off, their files."""

import os
from pathlib import Path

import pytest

from edgefn.sandbox.base import Code, Failed, Usage
from edgefn.sandbox.process import endings
from edgefn.sandbox.process.backoff import CALM
from edgefn.sandbox.process.bundles import copy_tree, link_tree
from edgefn.sandbox.process.environment import function_environment, interpreter_environment, log_place
from edgefn.sandbox.process.interpreters import Declared, declared
from edgefn.sandbox.process.launch import Language

FAILURE = Failed("ValueError", "no", (), Usage(0.0))


def code(runtime: str = "nodejs22.x", **environment: str) -> Code:
    return Code("us-east-1.f", "3", "arn", "/nowhere", runtime, "index.handler", 5.0, 256, environment)


@pytest.mark.parametrize(
    ("runtime", "asked"),
    [
        ("nodejs18.x", Declared(Language.NODE, (18,))),
        ("python3.13", Declared(Language.PYTHON, (3, 13))),
        ("wasm", None),
        ("cloudfront-js-2.0", None),
    ],
)
def test_a_runtime_says_what_is_to_run_it(runtime: str, asked: Declared | None) -> None:
    assert declared(runtime) == asked


def test_the_log_is_where_aws_keeps_it() -> None:
    place = log_place(code(), "2026/01/02", "ab" * 16)
    assert place.group == "/aws/lambda/us-east-1.f"
    assert place.stream == "2026/01/02/[3]" + "ab" * 16


def test_a_function_s_own_variables_win_over_defaults_but_not_over_reserved_ones() -> None:
    mine = code(TZ="Europe/Berlin", _HANDLER="evil", AWS_LAMBDA_FUNCTION_NAME="evil", OWN="1")
    environment = function_environment(mine, log_place(mine, "d", "t"), provisioned=False)
    assert environment["TZ"] == "Europe/Berlin"
    assert environment["OWN"] == "1"
    assert environment["_HANDLER"] == "index.handler"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "us-east-1.f"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["NODE_PATH"].startswith("/opt/nodejs/node22/node_modules:")


def test_python_gets_no_node_path() -> None:
    mine = code("python3.12")
    assert "NODE_PATH" not in function_environment(mine, log_place(mine, "d", "t"), provisioned=True)


def test_a_worker_without_a_function_gets_next_to_nothing() -> None:
    assert set(interpreter_environment()) == {"PATH", "LANG", "TZ", "HOME"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "Runtime exited without providing a reason"),
        (1, "Runtime exited with error: exit status 1"),
        (129, "Runtime exited with error: exit status 129"),
        (-9, "Runtime exited with error: signal: killed"),
        (-6, "Runtime exited with error: signal: aborted"),
        (-11, "Runtime exited with error: signal: segmentation fault"),
        (-40, "Runtime exited with error: signal: 40"),
    ],
)
def test_how_a_process_ended(status: int, words: str) -> None:
    assert endings.exit_words(status) == words
    assert endings.exited("id", status, Usage(0.0)).message == f"RequestId: id Error: {words}"
    assert endings.exited("", status, Usage(0.0)).message == words


def test_failed_inits_are_tried_again_ever_later() -> None:
    backoff, delays = CALM, []
    for _ in range(12):
        backoff = backoff.init_failed(FAILURE, 100.0)
        delays.append(backoff.until - 100.0)
    assert delays == [0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert backoff.failure is FAILURE
    assert backoff.is_holding(129.9)
    assert not backoff.is_holding(130.0)
    assert not backoff.started().is_holding(100.0)


def test_crashes_hold_back_later_and_shorter() -> None:
    backoff, delays = CALM, []
    for _ in range(9):
        backoff = backoff.crashed(100.0)
        delays.append(backoff.until - 100.0)
    assert delays == [0, 0, 0, 0, 0.25, 0.5, 1, 1, 1]
    assert backoff.failure is None


def test_a_good_start_does_not_forget_the_crashes() -> None:
    backoff = CALM.crashed(0.0).crashed(0.0)
    assert backoff.started().crashes == 2
    assert backoff.init_failed(FAILURE, 0.0).started().crashes == 2


def test_copies_have_our_modes_and_nothing_special(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True, mode=0o700)
    (source / "bin" / "tool").write_text("#!/bin/sh")
    (source / "bin" / "tool").chmod(0o4711)
    (source / "secret.js").write_text("1")
    (source / "secret.js").chmod(0o600)
    os.symlink("/etc/shadow", source / "link")
    os.mkfifo(source / "fifo")
    copy_tree(str(source), str(tmp_path / "master"))
    link_tree(str(tmp_path / "master"), str(tmp_path / "tree"))
    tree = tmp_path / "tree"
    assert sorted(path.name for path in tree.iterdir()) == ["bin", "link", "secret.js"]
    assert (tree / "bin").stat().st_mode & 0o7777 == 0o755
    assert (tree / "bin" / "tool").stat().st_mode & 0o7777 == 0o755
    assert (tree / "secret.js").stat().st_mode & 0o7777 == 0o644
    assert os.readlink(tree / "link") == "/etc/shadow"
    assert (tree / "secret.js").stat().st_ino == (tmp_path / "master" / "secret.js").stat().st_ino
    assert (tree / "secret.js").stat().st_ino != (source / "secret.js").stat().st_ino
