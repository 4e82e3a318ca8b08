"""Where functions meet the cache: who runs when, and what a validation shows them."""

from dataclasses import dataclass, field, replace

from edgefn.model.headers import Line
from edgefn.model.message import BytesBody, Request, Response
from edgefn.proxy.errand import Fetch
from edgefn.proxy.passages import Passed
from edgefn.proxy.walk import Walk, Walked
from tests.proxy.cache_stage import FRESH, Stage, asking, controlled, saying, settled

TAG = ("ETag", '"x"')
BEHIND = controlled("max-age=60, stale-while-revalidate=60")


@dataclass
class Functions:
    """Four functions that note when they run; each adds a field to what passes it."""

    ran: list[str] = field(default_factory=list)
    instead: Response | None = None

    async def viewer_request(self, request: Request) -> Request | Response:
        self.ran.append("viewer-request")
        return request

    async def origin_request(self, request: Request) -> Request | Response:
        self.ran.append("origin-request")
        return replace(request, headers=request.headers.adding(("X-Asked", "1")))

    async def origin_response(self, asked: Request, response: Response) -> Response:
        self.ran.append(f"origin-response {response.status}")
        made = self.instead or response
        return replace(made, headers=made.headers.adding(("X-Stored", str(len(self.ran)))))

    async def viewer_response(self, asked: Request, response: Response, request: Request) -> Response:
        self.ran.append("viewer-response")
        return replace(response, headers=response.headers.adding(("X-Shown", "1")))

    def viewer_request_now(self, request: Request) -> Passed | None:
        return Passed(request, result=b"made at once")

    def viewer_response_now(self, asked: Request, response: Response, request: Request) -> Response | None:
        return replace(response, headers=response.headers.adding(("X-Shown", "at once")))


class Facts:
    def told(self, asked: Request, request: Request) -> Request:
        return asked


@dataclass
class Origins:
    stage: Stage

    async def serve(self, request: Request, ask: Fetch) -> Response:
        return await ask(request)

    async def fetch(self, asked: Request) -> Response:
        return await self.stage.origin(asked)


class Theatre:
    """A stage with functions around it."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.functions = Functions()
        self.walk = Walk(self.functions, Facts(), self.stage.cache, Origins(self.stage))

    async def get(self, *lines: Line) -> Response:
        self.functions.ran.clear()
        response = await self.walk(asking("/a", *lines))
        body = await response.body.read()
        await settled()
        return replace(response, body=BytesBody(body))


async def test_a_hit_runs_the_functions_of_the_viewer_only() -> None:
    theatre = Theatre()
    await theatre.get()
    assert theatre.functions.ran == ["viewer-request", "origin-request", "origin-response 200", "viewer-response"]
    response = await theatre.get()
    assert theatre.functions.ran == ["viewer-request", "viewer-response"]
    assert response.headers.get_all("x-shown") == ("1",)  # what viewer-response adds is not stored
    assert response.headers.get("x-stored") == "3"


async def test_an_answer_at_once_remembers_its_way_however_it_is_dressed() -> None:
    theatre, request = Theatre(), asking("/a")
    assert theatre.walk.now(request) is request  # nothing is stored yet: to go on from there
    await theatre.get()
    response = theatre.walk.now(request)
    assert isinstance(response, Walked)
    dressed = response.dressed(response.headers.adding(("X-Cache", "Hit")))
    assert isinstance(dressed, Walked)
    assert (dressed.told, dressed.passed.result) == (request, b"made at once")
    assert (dressed.headers.get("x-shown"), dressed.headers.get("x-cache")) == ("at once", "Hit")
    assert dressed.body is response.body


async def test_a_validation_runs_all_of_them_and_shows_the_304() -> None:
    theatre = Theatre()
    theatre.stage.says("hello", FRESH, TAG)
    await theatre.get()
    theatre.stage.says("", TAG, status=304)
    theatre.stage.clock.passes(60)
    response = await theatre.get()
    assert theatre.functions.ran == ["viewer-request", "origin-request", "origin-response 304", "viewer-response"]
    assert theatre.stage.origin.asked[-1].headers.get("x-asked") == "1"
    assert (response.status, response.body.buffered()) == (200, b"hello")
    assert response.headers.get_all("x-stored") == ("3",)  # what origin-response makes of the 304 is merged


async def test_a_304_that_becomes_a_response_of_its_own_is_stored_as_such() -> None:
    theatre = Theatre()
    theatre.stage.says("hello", FRESH, TAG)
    await theatre.get()
    theatre.stage.says("", TAG, status=304)
    theatre.functions.instead = saying("made", FRESH)
    theatre.stage.clock.passes(60)
    assert (await theatre.get()).body.buffered() == b"made"
    assert (await theatre.get()).body.buffered() == b"made"
    assert theatre.functions.ran == ["viewer-request", "viewer-response"]


async def test_what_origin_response_makes_decides_what_is_stored() -> None:
    theatre = Theatre()
    theatre.stage.says("hello", controlled("no-store"))
    theatre.functions.instead = saying("made", FRESH)
    await theatre.get()
    await theatre.get()
    assert theatre.functions.ran == ["viewer-request", "viewer-response"]
    theatre = Theatre()
    theatre.functions.instead = saying("made", controlled("private"))
    await theatre.get()
    await theatre.get()
    assert "origin-request" in theatre.functions.ran


async def test_a_validation_in_the_background_runs_those_of_the_origin_once() -> None:
    theatre = Theatre()
    theatre.stage.says("hello", BEHIND, TAG)
    await theatre.get()
    theatre.stage.says("new", BEHIND)
    theatre.stage.clock.passes(61)
    assert (await theatre.get()).body.buffered() == b"hello"
    assert sorted(theatre.functions.ran) == [
        "origin-request", "origin-response 200", "viewer-request", "viewer-response",
    ]  # fmt: skip
    assert (await theatre.get()).body.buffered() == b"new"
    assert theatre.functions.ran == ["viewer-request", "viewer-response"]


async def test_a_stale_response_in_place_of_an_error_is_shown_to_viewer_response() -> None:
    theatre = Theatre()
    theatre.stage.says("hello", controlled("max-age=60, stale-if-error=60"))
    await theatre.get()
    theatre.stage.says("oh", status=503)
    theatre.stage.clock.passes(60)
    response = await theatre.get()
    assert (response.status, theatre.functions.ran[-2:]) == (200, ["origin-response 503", "viewer-response"])
