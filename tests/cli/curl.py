"""Running a curl line as a reader would; on a machine without curl, reading the few options of our lines ourselves."""

import argparse
import asyncio
import base64
import http.client
import shlex
import shutil
from urllib.parse import urlsplit


async def curl(line: str) -> str:
    """Run `curl ...` and return what it writes to standard output, bytes as latin-1, line ends as one character."""
    words = shlex.split(line)
    assert words[0] == "curl"
    binary = shutil.which("curl")
    async with asyncio.timeout(20):
        told = await (_run(binary, words[1:]) if binary else asyncio.to_thread(_stand_in, words[1:]))
    return told.decode("latin-1").replace("\r\n", "\n")


async def _run(binary: str, words: list[str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        binary, "-s", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    return told


def _stand_in(words: list[str]) -> bytes:
    parser = argparse.ArgumentParser()
    for flag in ("-i", "-s", "-N"):
        parser.add_argument(flag, action="store_true")
    for option in ("-u", "-d", "-D", "-o"):
        parser.add_argument(option)
    parser.add_argument("url")
    given = parser.parse_args(words)
    headers = {"User-Agent": "curl/8", "Accept": "*/*"}
    if given.u:
        headers["Authorization"] = "Basic " + base64.b64encode(given.u.encode()).decode()
    if given.d:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    url = urlsplit(given.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=15)
    target = url.path + (f"?{url.query}" if url.query else "")
    connection.request("POST" if given.d else "GET", target, given.d, headers)
    answer = connection.getresponse()
    head = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in answer.getheaders())]
    content = answer.read()
    connection.close()
    shown = "\r\n".join([*head, "", ""]).encode("latin-1") if given.i or given.D == "-" else b""
    return shown if given.o else shown + content
