"""Whatever a command is given: an error that names the cause and the cure, and a status that says whose fault it is."""

import ssl
import subprocess
from pathlib import Path

import pytest

from edgefn.control.endpoints import Endpoint
from tests.cli.running import CHECKOUT, COMMAND, PATIENCE, Here
from tests.cli.test_serve import command
from tests.control.stage import control_api
from tests.fakes.certificates import write_certificate
from tests.fakes.scripted_origin import ScriptedOrigin, answering, ok
from tests.fakes.website import Website
from tests.free_ports import free_port

THERE = ("--control", "http://127.0.0.1:1", "--token-file", "{token}")
LONG = "x" * 300
"""No file can be called so: what looks for one gets an error instead of a no."""

UNUSABLE: list[tuple[tuple[str, ...], str]] = [
    (("functions", "--control", "http://127.0.0.1:99999"), "is no URL of a control API; write http://127.0.0.1:8081"),
    (("functions", "--control", "http://[::1"), "is no URL of a control API"),
    (("functions", "--control", "http://127.0.0.1:1", "--token-file", "{empty}"), "is empty; it is what `edgefn token"),
    (("functions", "--control", "http://127.0.0.1:1", "--token-file", "{script}"), "holds no token: one word in one"),
    (("functions", "--control", "http://127.0.0.1:1", "--token-file", "{folder}"), "Is a directory"),
    (("status", *THERE, "--ca-file", "{script}"), "--ca-file: {script}: holds no certificates in PEM; name the"),
    (("status", *THERE, "--ca-file", "{folder}"), "--ca-file: {folder}: Is a directory"),
    (("versions", "", *THERE), "'' is no name; write at most 64 letters"),
    (("versions", "../x", *THERE), "'../x' is no name"),
    (("versions", "f", "--delete", "x", *THERE), "'x' does not fit; write a whole number from 1 to"),
    (("rollback", "", *THERE), "'' is no name"),
    (("alias", "set", "f", "a/b", "1", *THERE), "'a/b' is no name"),
    (("functions", "--delete", "", *THERE), "'' is no name"),
    (("deploy", "{script}", "--name", "a/b", *THERE), "'a/b' is no name"),
    (("deploy", "{script}", "--name", "f", "--env", "=x", *THERE), "'=x' has no name; write NAME=VALUE"),
    (("deploy", "{script}", "--name", "f", "--concurrency", "0", *THERE), "write a whole number from 1 to 1,000"),
    (("deploy", LONG, "--name", "f", *THERE), "File name too long"),
    (("dev", LONG, "--name", "f", *THERE), "there is no such file or folder"),
    (("invoke", LONG, "--runtime", "js", "--sample", "viewer-request"), "File name too long"),
    (("kvs", "put", LONG, "a", "b"), "can't be written: File name too long"),
    (("kvs", "put", "", "a", "b"), "STORE: is empty; write the path of a JSON file"),
    (("token", "new", "a b", "--scope", "read", *THERE), "'a b' is no name of a token"),
    (("token", "new", "ci", "--scope", "read", "--days", "0", *THERE), "write a whole number from 1 to 11,574"),
    (("location", "drain", "", *THERE), "'' is no name"),
    (("location", "join", "{config}", "--control", "http://127.0.0.1:1", "--token", ""), "--token: is empty; `edgefn"),
    (
        ("location", "join", "{config}", "--control", "http://127.0.0.1:1", "--token", "x", "--root", "{script}"),
        "--root: {script}: it is no chain of documents",
    ),
    (("control", "init", "{empty}"), "{empty}:1: the file is empty; write `data_dir: ./control`, for a start"),
    (("apply", "--list", "--site", "", *THERE), "'' can't name a site"),
]


@pytest.mark.parametrize(("arguments", "told"), UNUSABLE)
def test_what_can_not_be_used_is_told_before_anybody_is_asked(
    here: Here, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    names = {name: tmp_path / name for name in ("empty", "script", "folder", "token", "config")}
    names["folder"].mkdir()
    names["empty"].touch()
    names["token"].write_text("secret\n")
    names["script"].write_text("exports.handler = async () => 1;\n")
    routes = 'origins: {a: {url: "http://127.0.0.1:9"}}\nroutes: [{path: "*", origin: a}]\n'
    names["config"].write_text(f"location: a\nlisten: 127.0.0.1:0\n{routes}")
    filled = [argument.format(**names) for argument in arguments]
    done = here(*filled)
    assert (done.returncode, told.format(**names) in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_root_s_file_that_is_none_is_named_and_not_the_one_that_it_would_become(here: Here, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("no chain")
    done = here("keys", "pin", str(tmp_path / "script"), "--dir", str(tmp_path / "keys"))
    assert (done.returncode, done.stderr.startswith(f"edgefn keys: {tmp_path}/script: ")) == (1, True), done.stderr


def test_output_that_can_not_be_written_is_told_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "event", "viewer-request"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE,
            cwd=CHECKOUT,
        )
    assert (done.returncode, done.stderr.decode()) == (1, "edgefn event: standard output: No space left on device\n")


async def test_a_control_plane_without_a_sound_certificate_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    file, port = tmp_path / "control.yaml", free_port()
    tls = "{certificate: broken.pem, key: broken.pem}"
    file.write_text(
        f'data_dir: ./c\nadmin: 127.0.0.1:{free_port()}\ntls: {tls}\nnats: {{listen: "127.0.0.1:{port}"}}\n'
    )
    status, told = await command("control", "serve", file)
    assert (status, "broken.pem: is no PEM certificate" in told, "Traceback" in told) == (2, True, False), told
    assert not (tmp_path / "c" / "nats").exists()


async def test_whoever_else_answers_is_told_apart_from_nobody(tmp_path: Path) -> None:
    token, certificate = tmp_path / "token", write_certificate(tmp_path)
    token.write_text("bogus\n")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificate)

    async def status(url: str, *what: str) -> str:
        done, told = await command(*(what or ("status",)), "--control", url, "--token-file", token)
        assert (done, "Traceback" in told) == (1, False), told
        return told

    async with Website() as site, ScriptedOrigin(answering(ok(b"{}")), tls=tls) as secure:
        assert "is no control API: write the `admin` address" in await status(f"http://{site.address}")
        assert "does it speak TLS, at https://?" in await status(f"http://{secure.address}")
    nothing: list[Endpoint] = []
    async with control_api(tmp_path, nothing) as stage:
        base = stage.base
        assert "does not speak TLS as we do" in await status(stage.base.replace("http:", "https:"))
        assert "this token counts for nothing here" in await status(stage.base)
        token.write_text("secret\n")
        assert "is the control API of a location, which knows of no fleet" in await status(
            stage.base, "location", "list"
        )
    assert "the connection is refused; is it running?" in await status(base, "logs")
