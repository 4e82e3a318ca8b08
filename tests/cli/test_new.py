"""`edgefn new`: what it writes runs as it is."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from edgefn.cli.starters import FOLDER, LANGUAGES
from edgefn.configuration.functions import RUNTIMES
from edgefn.configuration.loader import load
from tests.cli.running import Here, edgefn
from tests.guests.building import builder

ON_THIS_MACHINE = ("nodejs22.x", "python3.11", "js", "cloudfront-js-1.0", "cloudfront-js-2.0")


def made(here: Here, path: Path, *arguments: str) -> str:
    """Make a function; return what it says about it."""
    done = here("new", *arguments, str(path))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def tried(told: str) -> dict[str, object]:
    """Run the command that is told; return the result."""
    command = re.findall(r"^    edgefn (invoke .+)$", told, re.MULTILINE)
    assert len(command) == 1
    done = edgefn(*shlex.split(command[0]))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("runtime", ON_THIS_MACHINE)
def test_a_new_function_runs_as_it_is_told(here: Here, tmp_path: Path, runtime: str) -> None:
    told = made(here, tmp_path / "hello", "--runtime", runtime)
    assert tried(told)["uri"] == "/docs/index.html"
    assert (tmp_path / "hello" / "README.md").read_text().endswith(told.partition("\n\n")[2].rstrip("\n") + "\n")


@pytest.mark.parametrize("runtime", ["cloudfront-js-1.0", "cloudfront-js-2.0"])
def test_a_new_cloudfront_function_suits_aws_too(here: Here, tmp_path: Path, runtime: str) -> None:
    made(here, tmp_path / "hello", "--runtime", runtime)
    done = here("check", "--strict", str(tmp_path / "hello"), "--runtime", runtime)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_new_function_in_wat_is_translated_already(here: Here, tmp_path: Path) -> None:
    told = made(here, tmp_path / "hello", "--runtime", "wasm", "--language", "wat")
    assert tried(told)["body"] == "Hello from WebAssembly\n"


def test_a_new_function_in_c_is_built_and_runs(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "hello"
    told = made(here, path, "--runtime", "wasm")
    assert f"{path}/function.c -o {path}/function.wasm" in told
    builder.from_c(path, path / "function.wasm", fetch=False)
    assert tried(told)["uri"] == "/docs/index.html"


@pytest.mark.parametrize("language", ["rust", "assemblyscript", "go"])
def test_a_new_function_in_another_language_is_built_and_runs(here: Here, tmp_path: Path, language: str) -> None:
    path = tmp_path / "hello"
    told = made(here, path, "--runtime", "wasm", "--language", language)
    assert f"{path}/function.wasm" in told or f"cd {path} && " in told
    try:
        builder.GUESTS[f"wasm-{language}"].build(path, path / "function.wasm", fetch=False)
    except builder.NoToolsError as error:
        pytest.skip(f"it can't be built here: {error}")
    assert tried(told)["uri"] == "/docs/index.html"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_has_a_starter_whose_settings_hold(here: Here, tmp_path: Path, runtime: str) -> None:
    told = made(here, tmp_path / "hello", "--runtime", runtime)
    settings = re.findall(r"^    ((?:kvs|functions|routes): .+)$", told, re.MULTILINE)
    around = ["location: fra1", "listen: 127.0.0.1:0", 'origins: {app: {url: "http://127.0.0.1:9"}}']
    function = load("\n".join([*around, *settings]), filename="e.yaml", base="/").functions["hello"]
    assert (function.runtime, function.path) == (runtime, str(tmp_path / "hello"))


def test_every_folder_belongs_to_a_starter(here: Here, tmp_path: Path) -> None:
    written = set()
    for number, (runtime, *more) in enumerate(
        [*((runtime,) for runtime in RUNTIMES), *(("wasm", "--language", name) for name in LANGUAGES)]
    ):
        made(here, tmp_path / f"f{number}", "--runtime", runtime, *more)
        written |= {(tmp_path / f"f{number}" / name).read_bytes() for name in os.listdir(tmp_path / f"f{number}")}
    assert all(file.read_bytes() in written for file in FOLDER.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--runtime", "node", "hello"), '--runtime: the runtime "node" is not known'),
        (("--runtime", "js", "a.b"), "'a.b' can't be a function's name"),
        (("--runtime", "js", "nowhere/hello"), "there is no directory {here}/nowhere; make it first"),
        (("--runtime", "js", "taken"), "taken: is there already; take another name"),
        (("--runtime", "js", "hello", "--language", "c"), "--language: runtime js has a language of its own"),
    ],
)
def test_what_can_not_be_made_is_told(here: Here, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "taken").mkdir()
    *before, _ = before_and_name = arguments[:3]
    done = here("new", *before, f"{tmp_path}/{before_and_name[2]}", *arguments[3:])
    assert (done.returncode, done.stdout) == (2, "")
    assert told.format(here=tmp_path) in done.stderr
    assert os.listdir(tmp_path) == ["taken"]
