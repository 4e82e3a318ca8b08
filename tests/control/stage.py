"""A control API on loopback, and somebody who asks it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import ClientSession

from edgefn.control.admin import Admin, Gate
from edgefn.control.endpoints import Endpoint
from edgefn.control.retries import Retries
from edgefn.control.token_endpoints import token_endpoints
from edgefn.control.tokens import Tokens
from edgefn.node import world


@dataclass
class Stage:
    """`ask` returns status and document; `audited` are the lines of the audit log."""

    admin: Admin
    session: ClientSession
    tokens: Tokens
    lines: list[str]
    now: list[float] = field(default_factory=lambda: [1000.0])

    @property
    def base(self) -> str:
        host, port = self.admin.addresses[0]
        return f"http://{host}:{port}"

    @property
    def audited(self) -> list[dict]:
        return [orjson.loads(line) for line in self.lines]

    async def ask(self, method: str, path: str, *, token: str = "secret", **more) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        async with self.session.request(method, self.base + path, headers=headers, **more) as answer:
            return answer.status, await answer.json()

    async def issued(self, name: str, *scopes: str, **more) -> str:
        status, told = await self.ask("POST", "/v1/tokens", json={"name": name, "scopes": scopes, **more})
        assert status == 201, told
        return told["token"]


@asynccontextmanager
async def control_api(
    folder: Path,
    endpoints: Sequence[Endpoint] | Callable[[Tokens], Sequence[Endpoint]] = (),
    head_patience: float = 10.0,
) -> AsyncIterator[Stage]:
    now = [1000.0]
    lines: list[str] = []
    tokens = Tokens(str(folder), "secret", wall=lambda: now[0], fresh=world.token)
    gate = Gate(tokens, lines.append, lambda: "now", Retries(lambda: now[0]), "1.2.3")
    given = endpoints(tokens) if callable(endpoints) else endpoints
    admin = Admin(gate, [*given, *token_endpoints(tokens)], head_patience)
    await admin.start("127.0.0.1", 0)
    try:
        async with ClientSession() as session:
            yield Stage(admin, session, tokens, lines, now)
    finally:
        await admin.close()
