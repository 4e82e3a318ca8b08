"""A fleet for stories at a command line: a control plane, locations that join it, and an origin, each for real."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from aiohttp import ClientSession, TCPConnector

from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.fakes.scripted_origin import Conversation, SeenRequest, ok
from tests.fakes.website import Website
from tests.free_ports import free_port

CODE = "exports.handler = async () => ({status: '200', body: 'WORD'});\n"


class Fleet:
    """A control plane and its locations, each a process; and somebody at a command line with the operator's token."""

    def __init__(self, folder: Path, stack: AsyncExitStack, viewer: ClientSession, origin: str) -> None:
        self.folder = folder
        self.viewer = viewer
        self._origin = origin
        self._stack = stack
        self.url = f"http://127.0.0.1:{free_port()}"
        self.locations: dict[str, Running] = {}
        self.bases: dict[str, str] = {}

    @property
    def there(self) -> tuple[str, ...]:
        return ("--control", self.url, "--token-file", str(self.folder / "control" / "admin.token"))

    def write_control(self) -> Path:
        file = self.folder / "control.yaml"
        if not file.exists():
            admin = self.url.removeprefix("http://")
            file.write_text(f'admin: {admin}\ndata_dir: ./control\nnats: {{listen: "127.0.0.1:{free_port()}"}}\n')
        return file

    async def start_control(self) -> None:
        file = self.write_control()
        self.control = await self._stack.enter_async_context(Running("control", "serve", file))
        await self.control.says("ready: ")

    def write(self, name: str, admin: str = "off") -> None:
        (self.folder / f"{name}.yaml").write_text(f"""
location: {name}
listen: 127.0.0.1:{free_port()}
admin: {admin}
data_dir: ./{name}
access_log: off
origins: {{app: {{url: "http://{self._origin}"}}}}
routes:
  - {{path: /page, origin: app, cache: {{default_ttl: 1h}}}}
  - {{path: "*", origin: app, hooks: {{viewer-request: "greet:live"}}}}
""")

    async def join(self, name: str, config: Path | None = None) -> None:
        if config is None:
            self.write(name)
        status, token = await command("location", "add", name, *self.there)
        assert status == 0, token
        self.token = token.strip()
        joined = await command(
            "location", "join", self.folder / f"{name}.yaml", "--control", self.url, "--token", self.token
        )
        assert joined[0] == 0, joined[1]

    async def serve(self, name: str) -> None:
        location = await self._stack.enter_async_context(Running("serve", self.folder / f"{name}.yaml"))
        self.locations[name], self.bases[name] = location, await location.url()

    def code(self, word: str) -> Path:
        path = self.folder / "fn" / "index.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CODE.replace("WORD", word))
        return path.parent

    async def deploy(self, word: str, *more: str) -> tuple[int, str]:
        return await command(
            "deploy", self.code(word), "--name", "greet", "--runtime", "nodejs20.x", *more, *self.there
        )

    async def get(self, name: str, path: str = "/") -> str:
        async with self.viewer.get(self.bases[name] + path) as answer:
            return await answer.text()


F = TypeVar("F", bound=Fleet)


@asynccontextmanager
async def fleet_of(kind: type[F], folder: Path) -> AsyncIterator[F]:
    """Yield a fleet in front of an origin whose /page is another one each time; it ends with all its processes."""
    numbers = iter(range(100))

    async def numbered(conversation: Conversation, _: SeenRequest) -> None:
        await conversation.send(ok(f"{next(numbers)}".encode()))

    async with (
        AsyncExitStack() as stack,
        ClientSession(connector=TCPConnector(force_close=True)) as viewer,
        Website({"/page": numbered}) as site,
    ):
        yield kind(folder, stack, viewer, site.address)
        await stack.aclose()  # the locations before their origin
