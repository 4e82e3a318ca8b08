"""What the edge adds to messages, and what it takes away from them."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import ClientSession, TCPConnector

from tests.fakes.certificates import write_certificate
from tests.fakes.geo_database import write_geo_records
from tests.fakes.scripted_origin import SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Answer, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIA = re.compile(r"1\.1 [0-9a-f]{32}\.cloudfront\.net \(CloudFront\)")
ID = re.compile(r"[A-Za-z0-9_-]{54}==")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"

CONFIGURATION = """
listen:
  - 127.0.0.1:0
  - {address: "127.0.0.1:0", certificates: [{certificate: edge.pem, key: edge.key}]}
geo_database: places.mmdb
origins:
  app: {url: "http://{app}"}
functions:
  teller: {path: teller.js, runtime: nodejs20.x, handler: teller.handler}
routes:
  - {path: /nothing/*, origin: app, cache: &no-query {key: {query: none}},
     forward: {headers: none, cookies: none, query: none}}
  - {path: /viewer-host/*, origin: app, forward: {host: viewer}}
  - {path: /all-viewer/*, origin: app, forward: {policy: AllViewer}}
  - {path: /all-but-host/*, origin: app, forward: {policy: AllViewerExceptHostHeader}}
  - {path: /some/*, origin: app, cache: *no-query, forward: {headers: [X-Mine], cookies: [a], query: [q]}}
  - {path: /compressed/*, origin: app, cache: {key: {encodings: [gzip, br]}}}
  - {path: /not-compressed/*, origin: app, cache: {key: {encodings: [gzip]}}}
  - {path: /by-country/*, origin: app, cache: {key: {headers: [CloudFront-Viewer-Country]}}}
  - path: /told/*
    origin: app
    forward:
      add: [CloudFront-Viewer-Country, CloudFront-Viewer-Country-Name, CloudFront-Viewer-Country-Region,
            CloudFront-Viewer-Country-Region-Name, CloudFront-Viewer-City, CloudFront-Viewer-Postal-Code,
            CloudFront-Viewer-Latitude, CloudFront-Viewer-Longitude, CloudFront-Viewer-Metro-Code,
            CloudFront-Viewer-Time-Zone, CloudFront-Is-Mobile-Viewer, CloudFront-Is-Desktop-Viewer,
            CloudFront-Is-IOS-Viewer, CloudFront-Is-Android-Viewer, CloudFront-Is-Tablet-Viewer,
            CloudFront-Is-SmartTV-Viewer, CloudFront-Forwarded-Proto, CloudFront-Viewer-Http-Version,
            CloudFront-Viewer-Address, CloudFront-Viewer-TLS, CloudFront-Viewer-Header-Count,
            CloudFront-Viewer-Header-Order]
    hooks: {viewer-request: teller, origin-request: teller, origin-response: teller, viewer-response: teller}
  - {path: /generated/*, origin: app, hooks: {viewer-request: teller}}
  - {path: "*", origin: app}
"""

TELLER = """
const country = ({ headers }) => (headers['cloudfront-viewer-country'] || [{ value: 'nothing' }])[0].value;
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  if (request.uri === '/generated/plain') return { status: 200 };
  if (request.uri === '/generated/signed') return { status: 200, headers: { server: [{ value: 'mine' }] } };
  const message = response || request;
  message.headers[`x-${config.eventType}-saw`] = [{ value: country(request) }];
  message.headers[`x-${config.eventType}-id`] = [{ value: config.requestId }];
  return message;
};
"""

PAGES = {
    "/aged": page(200, b"old", "Cache-Control: max-age=3600", "Age: 100"),
    "/signed": page(200, b"", "Server: nginx", "Date: Tue, 01 Oct 2024 00:00:00 GMT", "Via: 1.1 cache.example"),
    "/posing": page(200, b"", "X-Cache: Hit from me", "X-Amz-Cf-Id: mine", "X-Amz-Cf-Pop: LOC1"),
    "/hop-by-hop": page(200, b"", "Connection: X-Private", "X-Private: 1", "Keep-Alive: timeout=5", "Trailer: X-T"),
    "/cookies": page(200, b"", "Set-Cookie: a=1", "Set-Cookie: b=2"),
    "/nothing/cookies": page(200, b"", "Set-Cookie: a=1"),
    "/cached": page(200, b"hello", "Cache-Control: max-age=60", 'ETag: W/"1"'),
    "/by-country/page": page(200, b"hello", "Cache-Control: max-age=60"),
}

SANKT_POELTEN: dict[str, object] = {
    "city": {"names": {"en": "Sankt Pölten"}},
    "country": {"iso_code": "AT", "names": {"en": "Austria"}},
    "location": {"latitude": 48.2, "longitude": 15.63, "time_zone": "Europe/Vienna", "metro_code": 501},
    "postal": {"code": "3100"},
    "subdivisions": [{"iso_code": "3", "names": {"en": "Lower Austria"}}],
}


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website

    async def sent(self, path: str, method: str = "GET", **headers: str) -> SeenRequest:
        """Return what the origin gets of a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.edge.ask(method, path, headers=named)
        return self.app.asked(path.partition("?")[0])[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("headers")
    (directory / "teller.js").write_text(TELLER)
    write_certificate(directory)
    write_geo_records(
        directory / "places.mmdb", {"127.0.0.1": SANKT_POELTEN, "127.0.0.3": {"country": {"iso_code": "FR"}}}
    )
    async with Website(PAGES) as app, Edge(CONFIGURATION, directory, app=app.address) as edge:
        yield Stage(edge, app)


async def got_from(stage: Stage, address: str, path: str, **headers: str) -> Answer:
    """Return what a viewer at another address gets."""
    connector = TCPConnector(local_addr=(address, 0))
    async with (
        ClientSession(connector=connector) as session,
        session.get(stage.edge.base + path, headers=headers) as got,
    ):
        return Answer(got.status, got.reason or "", tuple(got.headers.items()), await got.read())


# Responses.


async def test_every_response_says_where_it_came_through(stage: Stage) -> None:
    answer = await stage.edge.get("/page")

    assert VIA.fullmatch(answer["Via"])
    assert ID.fullmatch(answer["X-Amz-Cf-Id"])
    assert answer["X-Amz-Cf-Pop"] == "FRA1-P1"
    assert answer["X-Cache"] == "Miss from cloudfront"
    assert answer["Date"].endswith(" GMT")
    assert answer.get("Server") is None
    assert answer.get("Age") is None


async def test_each_request_has_an_id_of_its_own_which_function_and_origin_see_too(stage: Stage) -> None:
    first, second = await stage.edge.get("/told/page"), await stage.edge.get("/told/page")

    assert first["X-Amz-Cf-Id"] != second["X-Amz-Cf-Id"]
    seen = stage.app.asked("/told/page")[-1]
    assert seen.header("X-Amz-Cf-Id") == second["X-Amz-Cf-Id"]
    assert seen.header("X-Viewer-Request-Id") == seen.header("X-Origin-Request-Id") == second["X-Amz-Cf-Id"]
    assert second["X-Viewer-Response-Id"] == second["X-Origin-Response-Id"] == second["X-Amz-Cf-Id"]


async def test_a_hit_has_its_age(stage: Stage) -> None:
    await stage.edge.get("/cached")
    answer = await stage.edge.get("/cached")

    assert (answer["X-Cache"], answer.text) == ("Hit from cloudfront", "hello")
    assert int(answer["Age"]) in range(10)
    assert len(answer.all("Via")) == len(answer.all("X-Cache")) == len(answer.all("X-Amz-Cf-Id")) == 1


async def test_the_age_that_a_response_came_with_counts(stage: Stage) -> None:
    first, second = await stage.edge.get("/aged"), await stage.edge.get("/aged")

    assert first.all("Age") == ["100"]
    assert (second.x_cache, len(second.all("Age"))) == ("Hit", 1)
    assert int(second["Age"]) in range(100, 110)


async def test_what_the_origin_says_of_itself_stays(stage: Stage) -> None:
    answer = await stage.edge.get("/signed")

    assert answer["Server"] == "nginx"
    assert answer["Date"] == "Tue, 01 Oct 2024 00:00:00 GMT"
    assert answer.all("Via")[0] == "1.1 cache.example"
    assert VIA.fullmatch(answer.all("Via")[1])


async def test_an_origin_can_not_pose_as_the_edge(stage: Stage) -> None:
    answer = await stage.edge.get("/posing")

    assert answer.all("X-Cache") == ["Miss from cloudfront"]
    assert answer.all("X-Amz-Cf-Pop") == ["FRA1-P1"]
    assert len(answer.all("X-Amz-Cf-Id")) == 1
    assert answer["X-Amz-Cf-Id"] != "mine"


async def test_what_concerned_the_origins_connection_goes_no_further(stage: Stage) -> None:
    answer = await stage.edge.get("/hop-by-hop")

    assert {"x-private", "keep-alive", "trailer"} & {name.lower() for name, _ in answer.headers} == set()


async def test_cookies_are_set_where_cookies_are_forwarded(stage: Stage) -> None:
    assert (await stage.edge.get("/cookies")).all("Set-Cookie") == ["a=1", "b=2"]
    assert (await stage.edge.get("/nothing/cookies")).all("Set-Cookie") == []


async def test_what_a_function_answers_is_from_cloudfront_unless_it_says_otherwise(stage: Stage) -> None:
    assert (await stage.edge.get("/generated/plain"))["Server"] == "CloudFront"
    assert (await stage.edge.get("/generated/signed")).all("Server") == ["mine"]


# Requests.


async def test_the_origin_gets_its_own_name_as_host(stage: Stage) -> None:
    assert (await stage.sent("/page", Host="www.example.com")).header("Host") == stage.app.address
    assert (await stage.sent("/all-but-host/page", Host="www.example.com")).header("Host") == stage.app.address


async def test_the_origin_gets_the_viewers_host_where_it_is_forwarded(stage: Stage) -> None:
    assert (await stage.sent("/viewer-host/page", Host="www.example.com")).header("Host") == "www.example.com"
    assert (await stage.sent("/all-viewer/page", Host="www.example.com")).header("Host") == "www.example.com"


async def test_the_way_of_a_request_is_appended(stage: Stage) -> None:
    seen = await stage.sent("/page", Via="1.0 proxy.example", X_Forwarded_For="192.0.2.1")

    before, _, ours = (seen.header("Via") or "").partition(", ")
    assert before == "1.0 proxy.example"
    assert VIA.fullmatch(ours)
    assert seen.header("X-Forwarded-For") == "192.0.2.1, 127.0.0.1"


async def test_the_version_of_the_viewer_is_in_via(stage: Stage) -> None:
    await stage.edge.raw(b"GET /old HTTP/1.0\r\n\r\n")

    assert (stage.app.asked("/old")[-1].header("Via") or "").startswith("1.0 ")


async def test_a_viewer_can_not_pose_as_the_edge(stage: Stage) -> None:
    seen = await stage.sent(
        "/page", X_Amz_Cf_Id="mine", X_Edge_Thing="1", X_Real_IP="192.0.2.1", X_Forwarded_Proto="https"
    )

    assert [value for name, value in seen.headers if name.lower() == "x-amz-cf-id"] != ["mine"]
    assert {"x-edge-thing", "x-real-ip", "x-forwarded-proto"} & {name.lower() for name, _ in seen.headers} == set()


async def test_what_concerned_the_viewers_connection_goes_no_further(stage: Stage) -> None:
    await stage.edge.raw(
        b"GET /hops HTTP/1.1\r\nHost: a\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 1\r\n"
        b"Proxy-Authorization: x\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\n\r\n"
    )

    names = {name.lower() for name, _ in stage.app.asked("/hops")[-1].headers}
    private = {"x-private", "keep-alive", "proxy-authorization", "proxy-connection", "trailer", "upgrade", "te"}
    assert names & private == set()


async def test_by_default_the_origin_gets_what_the_viewer_sent(stage: Stage) -> None:
    seen = await stage.sent(
        "/everything?a=1&b=2", User_Agent="me", Accept="text/html", Cookie="a=1; b=2", Authorization="Basic x"
    )

    assert seen.target == "/everything?a=1&b=2"
    assert seen.header("User-Agent") == "me"
    assert seen.header("Accept") == "text/html"
    assert seen.header("Cookie") == "a=1; b=2"
    assert seen.header("Authorization") == "Basic x"


async def test_where_nothing_is_forwarded_the_origin_hears_of_the_edge_alone(stage: Stage) -> None:
    seen = await stage.sent(
        "/nothing/page?a=1",
        User_Agent="me", Accept="text/html", Accept_Language="de", Cookie="a=1", Authorization="Basic x",
        Referer="http://a.example/", X_Mine="1",
    )  # fmt: skip

    assert seen.target == "/nothing/page"
    assert seen.header("User-Agent") == "Amazon CloudFront"
    private = {"accept", "accept-language", "cookie", "authorization", "referer", "x-mine"}
    assert {name.lower() for name, _ in seen.headers} & private == set()


async def test_authorization_goes_with_what_changes_something(stage: Stage) -> None:
    seen = await stage.sent("/nothing/page", "POST", Authorization="Basic x")

    assert seen.header("Authorization") == "Basic x"


async def test_what_is_listed_is_forwarded(stage: Stage) -> None:
    seen = await stage.sent("/some/page?q=1&r=2&q=3", X_Mine="1", X_Other="2", Cookie="a=1; b=2")

    assert seen.target == "/some/page?q=1&q=3"
    assert (seen.header("X-Mine"), seen.header("X-Other"), seen.header("Cookie")) == ("1", None, "a=1")


@pytest.mark.parametrize(
    ("path", "offered", "asked"),
    [
        ("/compressed/page", "br, gzip, deflate", "br,gzip"),
        ("/compressed/page", "gzip", "gzip"),
        ("/compressed/page", "deflate", "identity"),
        ("/not-compressed/page", "br, gzip", "gzip"),
        ("/page", "br, zstd;q=0.5", "br, zstd;q=0.5"),
    ],
)
async def test_the_codings_are_told_in_few_ways(stage: Stage, path: str, offered: str, asked: str) -> None:
    seen = await stage.sent(path, Accept_Encoding=offered)

    assert seen.header("Accept-Encoding") == asked


# CloudFront-* headers.


async def test_the_origin_is_told_where_a_viewer_is(stage: Stage) -> None:
    seen = await stage.sent("/told/page")

    place = {name: value for name, value in seen.headers if name.startswith("CloudFront-Viewer-")}
    for name in ("Address", "Http-Version", "Header-Count", "Header-Order"):
        del place[f"CloudFront-Viewer-{name}"]
    assert place == {
        "CloudFront-Viewer-Country": "AT",
        "CloudFront-Viewer-Country-Name": "Austria",
        "CloudFront-Viewer-Country-Region": "3",
        "CloudFront-Viewer-Country-Region-Name": "Lower Austria",
        "CloudFront-Viewer-City": "Sankt P%C3%B6lten",
        "CloudFront-Viewer-Postal-Code": "3100",
        "CloudFront-Viewer-Latitude": "48.2",
        "CloudFront-Viewer-Longitude": "15.63",
        "CloudFront-Viewer-Metro-Code": "501",
        "CloudFront-Viewer-Time-Zone": "Europe/Vienna",
    }


async def test_nothing_is_told_of_a_place_that_nobody_knows(stage: Stage) -> None:
    await got_from(stage, "127.0.0.9", "/told/nowhere")

    seen = stage.app.asked("/told/nowhere")[-1]
    assert (seen.header("X-Forwarded-For"), seen.header("CloudFront-Viewer-Country")) == ("127.0.0.9", None)


async def test_the_origin_is_told_which_device_a_viewer_has(stage: Stage) -> None:
    seen = await stage.sent("/told/page", User_Agent=IPHONE)

    told = {name for name, value in seen.headers if name.startswith("CloudFront-Is-") and value == "true"}
    assert told == {"CloudFront-Is-Mobile-Viewer", "CloudFront-Is-IOS-Viewer"}
    assert seen.header("CloudFront-Is-Desktop-Viewer") == "false"


async def test_the_origin_is_told_how_a_viewer_came(stage: Stage) -> None:
    seen = await stage.sent("/told/page", X_Mine="1")

    assert seen.header("CloudFront-Forwarded-Proto") == "http"
    assert seen.header("CloudFront-Viewer-Http-Version") == "1.1"
    assert (seen.header("CloudFront-Viewer-Address") or "").startswith("127.0.0.1:")
    assert seen.header("CloudFront-Viewer-TLS") is None
    order = (seen.header("CloudFront-Viewer-Header-Order") or "").split(":")
    assert "X-Mine" in order
    assert seen.header("CloudFront-Viewer-Header-Count") == str(len(order))


async def test_the_origin_is_told_how_a_viewer_came_over_tls(stage: Stage) -> None:
    async with stage.edge.session.get(stage.edge.location.addresses[1] + "/told/safe") as got:
        assert got.status == 200

    seen = stage.app.asked("/told/safe")[-1]
    assert seen.header("CloudFront-Forwarded-Proto") == "https"
    assert re.fullmatch(r"TLSv1\.[23]:[A-Z0-9_-]+:fullHandshake", seen.header("CloudFront-Viewer-TLS") or "")


async def test_they_are_added_behind_viewer_request(stage: Stage) -> None:
    answer = await stage.edge.get("/told/page")

    seen = stage.app.asked("/told/page")[-1]
    assert seen.header("X-Viewer-Request-Saw") == "nothing"
    assert seen.header("X-Origin-Request-Saw") == "AT"
    assert answer["X-Origin-Response-Saw"] == "AT"
    assert answer["X-Viewer-Response-Saw"] == "nothing"


async def test_a_viewer_is_not_believed_where_it_says_it_is(stage: Stage) -> None:
    seen = await stage.sent("/told/page", CloudFront_Viewer_Country="XX", CloudFront_Viewer_City="Atlantis")

    assert seen.header("X-Viewer-Request-Saw") == "XX"
    assert [value for name, value in seen.headers if name.lower() == "cloudfront-viewer-country"] == ["AT"]
    assert [value for name, value in seen.headers if name.lower() == "cloudfront-viewer-city"] == ["Sankt P%C3%B6lten"]
    plain = await stage.sent("/page", CloudFront_Viewer_Country="XX")
    assert plain.header("CloudFront-Viewer-Country") is None


async def test_a_country_in_the_key_tells_responses_apart(stage: Stage) -> None:
    at_home = await got_from(stage, "127.0.0.1", "/by-country/page")
    abroad = await got_from(stage, "127.0.0.3", "/by-country/page")
    posing = await got_from(stage, "127.0.0.3", "/by-country/page", **{"CloudFront-Viewer-Country": "AT"})

    assert [answer.x_cache for answer in (at_home, abroad, posing)] == ["Miss", "Miss", "Hit"]
    countries = [seen.header("CloudFront-Viewer-Country") for seen in stage.app.asked("/by-country/page")]
    assert countries == ["AT", "FR"]
