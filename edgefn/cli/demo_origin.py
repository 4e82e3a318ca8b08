"""The demo's origin: a small site that says how often each of its pages was really fetched."""

import asyncio
import json

from aiohttp import web

_PAGES = {
    "/": ("text/html", "<h1>edgefn</h1><p>Try <a href=/home>/home</a> and <a href=/docs/>/docs/</a>.</p>"),
    "/home-a.html": ("text/html", "<h1>Home, variant A</h1>"),
    "/home-b.html": ("text/html", "<h1>Home, variant B</h1>"),
    "/docs/index.html": ("text/html", "<h1>Documentation</h1>"),
    "/docs/start/index.html": ("text/html", "<h1>Getting started</h1>"),
    "/private/report.html": ("text/html", "<h1>The private report</h1>"),
    "/static/app.css": ("text/css", "body { font-family: sans-serif }"),
}
_MAX_AGE = 30


class DemoOrigin:
    """Serves the demo pages on one address."""

    def __init__(self) -> None:
        self._fetched: dict[str, int] = {}
        application = web.Application()
        application.router.add_post("/sign-up", self._sign_up)
        application.router.add_get("/headers", self._headers)
        application.router.add_get("/clock", self._clock)
        application.router.add_get("/{page:.*}", self._page)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which 0 leaves to the system. Raises `OSError` when the address is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        self._fetched[request.path] = self._fetched.get(request.path, 0) + 1
        count = {"X-Origin-Fetch": str(self._fetched[request.path])}
        if request.path not in _PAGES:
            return web.Response(status=404, text=f"nothing at {request.path}\n", headers=count)
        content_type, text = _PAGES[request.path]
        fresh = {"Cache-Control": f"max-age={_MAX_AGE}"}
        return web.Response(text=text + "\n", content_type=content_type, headers=count | fresh)

    async def _headers(self, request: web.Request) -> web.Response:
        lines = [[name, value] for name, value in request.headers.items()]
        return web.json_response({"method": request.method, "target": request.path_qs, "headers": lines})

    async def _sign_up(self, request: web.Request) -> web.Response:
        text = await request.text()
        return web.json_response({"received": text, "content-type": request.content_type})

    async def _clock(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        for tick in range(3):
            await stream.write(f"data: {json.dumps({'tick': tick})}\n\n".encode())
            await asyncio.sleep(0.2)
        return stream
