"""WebAssembly guests at hooks, beside functions in processes."""

import json
import re
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.fakes.website import Website
from tests.scenarios.edge import Edge

REDIRECT = (
    r"{\"status\":\"302\",\"statusDescription\":\"Found\","
    r"\"headers\":{\"location\":[{\"key\":\"Location\",\"value\":\"/moved\"}]}}"
)


def answering(text: str, log: str = "") -> bytes:
    """Return a guest that answers every event with `text`, and logs."""
    size = len(text.replace("\\", ""))
    return wat2wasm(f"""(module (import "edgefn" "log" (func $log (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 16) "{text}") (data (i32.const 1024) "{log}")
        (func (export "alloc") (param i32) (result i32) (i32.const 4096))
        (func (export "handle") (param i32 i32) (result i64)
            (call $log (i32.const 1024) (i32.const {len(log)}))
            (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const {size}))))""")


SPINNING = wat2wasm("""(module (memory (export "memory") 1)
    (func (export "alloc") (param i32) (result i32) (i32.const 4096))
    (func (export "handle") (param i32 i32) (result i64) (loop $again (br $again)) (unreachable)))""")

CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
functions:
  redirect: {path: redirect.wasm, runtime: wasm}
  spinning: {path: spinning.wasm, runtime: wasm, timeout: 300ms}
routes:
  - {path: /old, origin: app, hooks: {viewer-request: redirect}}
  - {path: /spin, origin: app, hooks: {origin-request: spinning}}
  - {path: "*", origin: app}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "redirect.wasm").write_bytes(answering(REDIRECT))
    (tmp_path / "spinning.wasm").write_bytes(SPINNING)
    return tmp_path


async def test_a_guest_answers_at_viewer_request(folder: Path) -> None:
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        answer = await edge.get("/old")

        assert (answer.status, answer["Location"], answer.x_cache) == (302, "/moved", "LambdaGeneratedResponse")
        assert await edge.hooks_run(answer) == ["viewer-request"]
        assert site.asked("/old") == []


async def test_the_access_log_tells_what_a_guest_took(folder: Path) -> None:
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        lines = [await edge.log_line((await edge.get("/old"))["X-Amz-Cf-Id"]) for _ in range(2)]

    told = r" viewer-request=redirect:1/Returned/[\d.]+ms/cpu:0\.\d\dms/memory:1MB"
    assert re.search(f"{told}/cold$", lines[0])
    assert re.search(f"{told}$", lines[1])


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("all", ["START", "moved", "END", "REPORT"]), ("output", ["moved"]), ("off", [])],
)
async def test_of_functions_as_much_is_logged_as_the_configuration_says(
    folder: Path, wanted: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "redirect.wasm").write_bytes(answering(REDIRECT, log="moved"))
    async with Website() as site, Edge(f"function_log: {wanted}\n{CONFIGURATION}", folder, origin=site.address) as edge:
        assert (await edge.get("/old")).status == 302

    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("redirect: ")]
    assert [line.removeprefix("redirect: ").split()[0] for line in shown] == told


async def test_a_guest_that_never_ends_is_stopped_at_its_limit(folder: Path) -> None:
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        answer = await edge.get("/spin")

        assert (answer.status, answer.x_cache) == (503, "LambdaExecutionError")
        assert (await edge.get("/page")).status == 200


async def test_a_module_that_is_none_is_named_at_the_start(folder: Path) -> None:
    (folder / "redirect.wasm").write_bytes(b"no module")

    async with Website() as site:
        with pytest.raises(Exception, match=r"functions\.redirect: can't be started: redirect\.wasm"):
            async with Edge(CONFIGURATION, folder, origin=site.address):
                pass


async def test_a_guest_reads_the_key_value_store_that_the_configuration_names(folder: Path) -> None:
    (folder / "kv.wasm").write_bytes(
        wat2wasm("""(module (import "edgefn" "kv_get" (func $get (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 16) "answer")
        (func (export "alloc") (param i32) (result i32) (i32.const 4096))
        (func (export "handle") (param i32 i32) (result i64)
            (i64.or (i64.const 0x40000000000) (i64.extend_i32_u
                (call $get (i32.const 16) (i32.const 6) (i32.const 1024) (i32.const 1000))))))""")
    )
    (folder / "answers.json").write_text(json.dumps({"answer": '{"status":"204"}'}))
    configuration = """
kvs: {answers: answers.json}
origins: {app: {url: "http://{origin}"}}
functions: {kv: {path: kv.wasm, runtime: wasm, kvs: answers}}
routes: [{path: "*", origin: app, hooks: {viewer-request: kv}}]
"""
    async with Website() as site, Edge(configuration, folder, origin=site.address) as edge:
        assert (await edge.get("/")).status == 204
