"""The control API, asked by strangers."""

import asyncio

import pytest

from edgefn.control.admin import Admin, Operations


async def nothing() -> str:
    return "nothing"


async def status_for(authorization: bytes) -> bytes:
    admin = Admin(Operations(dict, nothing), "secret")
    await admin.start("127.0.0.1", 0)
    try:
        host, port = admin.addresses[0]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + authorization + b"\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer.split(b" ")[1]
    finally:
        await admin.close()


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Authorization: \r\n", b"Authorization: Bearer \xff\xfe\r\n", b"Authorization: Bearer secre\r\n",
     b"Authorization: bearer secret\r\n", b"Authorization: Basic secret\r\n"],
)  # fmt: skip
async def test_nobody_gets_in_without_the_token_whatever_its_bytes(authorization: bytes) -> None:
    assert await status_for(authorization) == b"401"


async def test_the_token_opens() -> None:
    assert await status_for(b"Authorization: Bearer secret\r\n") == b"200"
