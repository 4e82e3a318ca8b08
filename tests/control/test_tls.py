"""The control API under TLS of its own, and commands that keep their tokens from networks."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from edgefn.control.client import ControlClient, ControlError, is_in_clear
from edgefn.model.settings import Certificate
from edgefn.node.administering import open_admin
from tests.control.stage import control_api
from tests.fakes.certificates import write_certificate


async def test_it_speaks_tls_to_whoever_trusts_its_certificate_and_takes_a_new_one_while_it_runs(
    tmp_path: Path,
) -> None:
    certificate, key = write_certificate(tmp_path)
    old = certificate.read_text()
    async with AsyncExitStack() as stack:
        tls = Certificate(str(certificate), str(key))
        admin = await open_admin(stack, ("127.0.0.1", 0), str(tmp_path), [], tls=tls)
        base, token = f"https://localhost:{admin.addresses[0][1]}", (tmp_path / "admin.token").read_text().strip()
        assert await ControlClient(base, token, old).get("/v1/tokens") == {"tokens": []}
        with pytest.raises(ControlError, match=r"is not trusted: .*give the authority that signed it by --ca-file"):
            await ControlClient(base, token).get("/v1/tokens")
        with pytest.raises(ControlError, match="nobody answers"):
            await ControlClient(base.replace("https", "http"), token).get("/v1/tokens")

        key.write_text("torn")
        write_certificate(tmp_path)
        new = ControlClient(base, token, certificate.read_text())
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await new.get("/v1/tokens") == {"tokens": []}
                except ControlError:
                    await asyncio.sleep(0.1)
                else:
                    break
        with pytest.raises(ControlError, match="is not trusted"):
            await ControlClient(base, token, old).get("/v1/tokens")


async def test_it_does_not_say_which_software_answers(tmp_path: Path) -> None:
    async with control_api(tmp_path) as stage:
        async with stage.session.get(stage.base + "/v1/tokens") as answer:
            assert (answer.status, answer.headers.get("Server")) == (401, None)
        reader, writer = await asyncio.open_connection(*stage.admin.addresses[0])
        writer.write(b"NO HTTP\r\n\r\n")
        async with asyncio.timeout(10):
            said = await reader.read()
        writer.close()
        assert said.startswith(b"HTTP/1.")
        assert not {b"aiohttp", b"Python"} & set(said.replace(b"/", b" ").split())


@pytest.mark.parametrize(
    ("base", "in_clear"),
    [
        ("http://127.0.0.1:8090", False),
        ("http://127.8.0.1:8090", False),
        ("http://[::1]:8090", False),
        ("http://localhost:8090", False),
        ("https://control.example", False),
        ("http://10.0.0.1:8090", True),
        ("http://[fd00::1]:8090", True),
        ("http://control.example:8090", True),
        ("http://127.0.0.1.example:8090", True),
    ],
)
def test_what_goes_over_a_network_in_clear(base: str, *, in_clear: bool) -> None:
    assert is_in_clear(base) is in_clear
