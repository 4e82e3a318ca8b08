"""A whole location on loopback, for stories told through its front door."""

import asyncio
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from edgefn.configuration.loader import load, verify
from edgefn.functions.configurations import read
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Revision
from edgefn.model.settings import Settings
from edgefn.node.location import Location

HOOKS = Path(__file__).parents[2] / "hooks"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a viewer got."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __getitem__(self, name: str) -> str:
        found = self.get(name)
        assert found is not None, f"no {name} in {self.headers}"
        return found

    def get(self, name: str) -> str | None:
        return next((value for field, value in self.headers if field.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> dict[str, object]:
        told = json.loads(self.body)
        assert isinstance(told, dict)
        return told

    @property
    def x_cache(self) -> str:
        return self["X-Cache"].removesuffix(" from cloudfront")


class Edge:
    """Runs a location for the configuration `text`, in which {hooks} and {origin} stand for the obvious."""

    def __init__(self, text: str, tmp_path: Path, **names: object) -> None:
        self._names = names
        self._tmp_path = tmp_path
        self._access = tmp_path / "access.log"
        self.text = text
        self.reports: list[str] = []

    def settings(self, revision: Revision | None = None) -> Settings:
        common = "" if "\nlocation:" in f"\n{self.text}" else "location: fra1\n"
        common += f"admin: off\ndata_dir: {self._tmp_path}/var\n"
        common += "" if "\naccess_log:" in self.text else f"access_log: {self._access}\n"
        if "\nlisten:" not in self.text:
            common += "listen: 127.0.0.1:0\n"
        filled = self.text.replace("{hooks}", str(HOOKS))
        for name, value in self._names.items():
            filled = filled.replace("{" + name + "}", str(value))
        shared = None if revision is None else read(revision)
        settings = load(common + filled, filename="edge.yaml", base=str(self._tmp_path), shared=shared)
        missing = verify(settings, os.path.exists)
        if missing:
            raise SettingsError(missing)
        return settings

    async def __aenter__(self) -> Self:
        self.location = Location(self.settings(), read=self.settings, report=self.reports.append)
        await self.location.__aenter__()
        self.base = self.location.addresses[0]
        connector = TCPConnector(limit=0, ssl=False)
        self.session = ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), connector=connector, timeout=ClientTimeout(total=30)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.session.close()
        await self.location.__aexit__(kind, error, where)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        data = None if body is None else io.BytesIO(body)
        async with self.session.request(
            method, f"{self.base}{path}", headers=headers, data=data, allow_redirects=False
        ) as got:
            content = await got.read()
            lines = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in got.raw_headers)
            return Answer(got.status, got.reason or "", lines, content)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes as they are and return all that comes until the location closes."""
        host, port = self.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def log_line(self, request_id: str) -> str:
        """Return the access log line of the request, which is written just after it was answered."""
        async with asyncio.timeout(5):
            while True:
                lines = self._access.read_text().splitlines() if self._access.exists() else []
                for line in lines:
                    if f"id={request_id} " in line + " ":
                        return line
                await asyncio.sleep(0.01)

    async def hooks_run(self, answer: Answer) -> list[str]:
        """Return the events whose functions ran for `answer`, in order."""
        line = await self.log_line(answer["X-Amz-Cf-Id"])
        events = ("viewer-request", "origin-request", "origin-response", "viewer-response")
        return [field.partition("=")[0] for field in line.split() if field.startswith(events)]
