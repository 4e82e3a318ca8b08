"""Functions that read a key-value store, and see what is changed in it while they run."""

import asyncio
from pathlib import Path

import pytest

from edgefn.functions.kvs_file import update
from edgefn.model.errors import SettingsError
from edgefn.rules.kvs import Changes
from tests.fakes.website import Website
from tests.scenarios.edge import Answer, Edge

MOVED = """
import cf from 'cloudfront';
const store = cf.kvs('6c4bb5a7-any-id-of-AWS');
async function handler(event) {
  const { request } = event;
  const target = await store.get(request.uri).catch(() => undefined);
  if (target === undefined) return request;
  const { keyCount } = await store.meta();
  return { statusCode: 301, headers: { location: { value: target }, 'x-keys': { value: `${keyCount}` } } };
}
"""
NO_STORE = """
import cf from 'cloudfront';
async function handler(event) {
  try {
    await cf.kvs().get('a');
  } catch (error) {
    return { statusCode: 200, body: error.message };
  }
}
"""
CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
kvs: {redirects: {path: redirects.json}}
functions:
  moved: {path: moved.js, runtime: cloudfront-js-2.0, kvs: redirects}
  none: {path: none.js, runtime: cloudfront-js-2.0}
routes:
  - {path: /none, origin: app, hooks: {viewer-request: none}}
  - {path: "*", origin: app, hooks: {viewer-request: moved}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "moved.js").write_text(MOVED)
    (tmp_path / "none.js").write_text(NO_STORE)
    update(tmp_path / "redirects.json", Changes({"/old": "/new"}), now=0)
    return tmp_path


async def moved(edge: Edge, path: str, to: str) -> Answer:
    async with asyncio.timeout(10):
        while (answer := await edge.get(path)).get("Location") != to:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return answer


async def test_a_change_is_seen_without_a_reload(folder: Path) -> None:
    store = folder / "redirects.json"
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        assert (await edge.get("/old"))["Location"] == "/new"
        assert (await edge.get("/page")).status == 200
        update(store, Changes({"/page": "/elsewhere"}), now=0)
        assert (await moved(edge, "/page", "/elsewhere"))["X-Keys"] == "2"

        store.write_text("{")
        async with asyncio.timeout(10):
            while not any("redirects.json: is not JSON" in line for line in edge.reports):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await edge.get("/old"))["Location"] == "/new"


async def test_a_reload_brings_another_store(folder: Path) -> None:
    update(folder / "others.json", Changes({"/old": "/other"}), now=0)
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        assert (await edge.get("/old"))["Location"] == "/new"
        edge.text = edge.text.replace("redirects.json", "others.json")
        await edge.location.reload()
        assert (await edge.get("/old"))["Location"] == "/other"


async def test_a_function_without_a_store_is_told_so(folder: Path) -> None:
    async with Website() as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        assert (await edge.get("/none")).text == "No key-value store is associated with the function"


async def test_a_location_does_not_start_with_a_store_that_can_not_be_read(folder: Path) -> None:
    (folder / "redirects.json").write_text("[]")
    with pytest.raises(SettingsError, match=r"functions\.moved: .*redirects\.json: is not a JSON object"):
        async with Edge(CONFIGURATION, folder, origin="127.0.0.1:9"):
            pass
