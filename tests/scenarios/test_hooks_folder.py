"""Every function in hooks/ at work: asked for over HTTP, with an origin behind it."""

import base64
import hashlib
import hmac
import json
import re
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio
from aiohttp import ClientSession, TCPConnector

from tests.fakes.geo_database import write_geo_database
from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import HOOKS, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
origins:
  app: {url: "http://127.0.0.1:{port}"}
  bucket: {url: "http://assets.s3.us-east-1.amazonaws.com"}
resolve:
  canary.origin.test: 127.0.0.1:{port}
  de.origin.test: 127.0.0.1:{port}
  jp.origin.test: 127.0.0.1:{port}
  assets.s3.us-east-1.amazonaws.com: 127.0.0.1:{port}
  pictures.s3.us-east-1.amazonaws.com: 127.0.0.1:{port}
geo_database: "{geo}"
functions:
  ab-test: {path: "{hooks}/ab-test", runtime: nodejs20.x}
  add-security-headers: {path: "{hooks}/add-security-headers", runtime: nodejs20.x}
  api-versions: {path: "{hooks}/api-versions", runtime: python3.11, handler: app/handlers.main}
  basic-auth: {path: "{hooks}/basic-auth", runtime: python3.11, handler: lambda_function.lambda_handler}
  cache-rules: {path: "{hooks}/cache-rules", runtime: nodejs20.x}
  canary-origin: {path: "{hooks}/canary-origin", runtime: nodejs20.x}
  cors-preflight: {path: "{hooks}/cors", runtime: nodejs20.x, handler: index.cors.preflight}
  cors-allow: {path: "{hooks}/cors", runtime: nodejs20.x, handler: index.cors.allow}
  country-origin: {path: "{hooks}/country-origin", runtime: python3.11, handler: lambda_function.lambda_handler}
  debug-echo: {path: "{hooks}/debug-echo", runtime: nodejs20.x, memory: 192MB}
  device-variant: {path: "{hooks}/device-variant", runtime: python3.11, handler: lambda_function.lambda_handler}
  friendly-errors: {path: "{hooks}/friendly-errors", runtime: nodejs20.x}
  geo-header: {path: "{hooks}/geo-header", runtime: python3.11, handler: lambda_function.lambda_handler}
  harden-cookies: {path: "{hooks}/harden-cookies", runtime: python3.11, handler: lambda_function.lambda_handler}
  json-greeting: {path: "{hooks}/json-greeting", runtime: python3.11, handler: lambda_function.lambda_handler}
  jwt-check: {path: "{hooks}/jwt-check", runtime: nodejs20.x}
  language-redirect: {path: "{hooks}/language-redirect", runtime: nodejs20.x}
  legacy-redirects: {path: "{hooks}/legacy-redirects", runtime: nodejs20.x}
  maintenance: {path: "{hooks}/maintenance", runtime: python3.11, handler: lambda_function.lambda_handler}
  normalise-query: {path: "{hooks}/normalise-query", runtime: nodejs20.x}
  not-found-page: {path: "{hooks}/not-found-page", runtime: python3.11, handler: lambda_function.lambda_handler}
  pixel: {path: "{hooks}/pixel", runtime: nodejs20.x}
  pretty-urls: {path: "{hooks}/pretty-urls", runtime: nodejs20.x}
  redirect-table: {path: "{hooks}/redirect-table", runtime: nodejs20.x}
  rewrite-location: {path: "{hooks}/rewrite-location", runtime: python3.11, handler: lambda_function.lambda_handler}
  robots-txt: {path: "{hooks}/robots-txt", runtime: python3.11, handler: robots.handler}
  s3-by-path: {path: "{hooks}/s3-by-path", runtime: nodejs20.x}
  session-cookie: {path: "{hooks}/session-cookie", runtime: nodejs20.x}
  sign-origin-request: {path: "{hooks}/sign-origin-request", runtime: nodejs20.x}
  signed-links: {path: "{hooks}/signed-links", runtime: python3.11, handler: lambda_function.lambda_handler}
  signup-body: {path: "{hooks}/signup-body", runtime: nodejs20.x}
  strip-photo-location: {path: "{hooks}/strip-photo-location", runtime: nodejs20.x}
  visit-cookie: {path: "{hooks}/visit-cookie", runtime: nodejs20.x}
  webp: {path: "{hooks}/webp", runtime: nodejs20.x}
routes:
  - {path: /home*, origin: app, hooks: {viewer-request: ab-test, viewer-response: visit-cookie}}
  - {path: /safe, origin: app, hooks: {origin-response: add-security-headers}}
  - {path: /api/*, origin: app, hooks: {origin-request: api-versions}}
  - {path: /private*, origin: app, hooks: {viewer-request: basic-auth}}
  - {path: /rules/*, origin: app, hooks: {origin-response: cache-rules}}
  - {path: /canary, origin: app, hooks: {origin-request: canary-origin}}
  - {path: /cors, origin: app, hooks: {viewer-request: cors-preflight, viewer-response: cors-allow}}
  - {path: /near, origin: app, forward: {add: [CloudFront-Viewer-Country]}, hooks: {origin-request: country-origin}}
  - {path: /echo, origin: app, hooks: {origin-request: debug-echo}}
  - path: /screen.jpg
    origin: app
    forward: {add: [CloudFront-Is-Mobile-Viewer, CloudFront-Is-Tablet-Viewer]}
    hooks: {origin-request: device-variant}
  - {path: /shop/*, origin: app, hooks: {origin-response: friendly-errors}}
  - {path: /client, origin: app, hooks: {viewer-response: geo-header}}
  - {path: /cookies*, origin: app, hooks: {viewer-response: harden-cookies}}
  - {path: /greet, origin: app, hooks: {origin-request: json-greeting}}
  - {path: /account, origin: app, hooks: {viewer-request: jwt-check}}
  - {path: /old-home, origin: app, hooks: {viewer-request: legacy-redirects}}
  - {path: /blog*, origin: app, hooks: {viewer-request: legacy-redirects}}
  - {path: /closed, origin: app, hooks: {viewer-request: maintenance}}
  - {path: /search, origin: app, hooks: {viewer-request: normalise-query}}
  - {path: /wiki/*, origin: app, hooks: {origin-response: not-found-page}}
  - {path: /pixel*, origin: app, hooks: {origin-request: pixel}}
  - {path: /docs*, origin: app, hooks: {origin-request: pretty-urls}}
  - {path: /team*, origin: app, hooks: {viewer-request: redirect-table}}
  - {path: /jobs, origin: app, hooks: {viewer-request: redirect-table}}
  - {path: /moved*, origin: app, hooks: {origin-response: rewrite-location}}
  - {path: /robots*, origin: app, hooks: {viewer-request: robots-txt}}
  - {path: /assets/*, origin: bucket, hooks: {origin-request: s3-by-path}}
  - {path: /pictures/*, origin: bucket, hooks: {origin-request: s3-by-path}}
  - {path: /members*, origin: app, hooks: {viewer-request: session-cookie}}
  - {path: /signed, origin: app, hooks: {origin-request: sign-origin-request}}
  - {path: /files/*, origin: app, hooks: {viewer-request: signed-links}}
  - {path: /sign-up, origin: app, hooks: {origin-request: {function: signup-body, include_body: true}}}
  - {path: /photos, origin: app, hooks: {origin-request: {function: strip-photo-location, include_body: true}}}
  - {path: /img/*, origin: app, hooks: {viewer-request: webp}}
  - {path: "*", origin: app, hooks: {viewer-request: language-redirect}}
"""


async def redirect_to_itself(conversation: Conversation, seen: SeenRequest) -> None:
    await conversation.send(page(302, b"", f"Location: http://{seen.header('Host')}/new?x=1#part"))


PAGES = {
    "/rules/said.css": page(200, b"body {}", "Cache-Control: max-age=5"),
    "/rules/gone.css": page(404, b"gone"),
    "/shop/broken&co": page(503, b"stack trace"),
    "/cookies": page(200, b"two", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; secure; SameSite=Strict"),
    "/wiki/none": page(404, b"none", "X-Kept: yes"),
    "/moved": redirect_to_itself,
    "/moved-away": page(302, b"", "Location: https://elsewhere.example/new"),
    "/cors": page(200, b"data", "Vary: Accept"),
}

Test = TypeVar("Test", bound=Callable[..., object])
SHOWN: set[str] = set()


def about(folder: str) -> Callable[[Test], Test]:
    """Say which folder of hooks/ a test shows at work."""
    SHOWN.add(folder)
    return lambda test: test


@dataclass(frozen=True, slots=True)
class Place:
    """The location, and the origin behind it."""

    edge: Edge
    site: Website

    def last(self, path: str) -> SeenRequest:
        """Return the origin's last request for the path."""
        return self.site.asked(path)[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="place")
async def _place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    tmp_path = tmp_path_factory.mktemp("hooks")
    geo = write_geo_database(tmp_path / "geo.mmdb", {"127.0.0.1": "DE", "127.0.0.2": "JP", "127.0.0.3": "FR"})
    async with Website(PAGES) as site, Edge(CONFIGURATION, tmp_path, port=site.port, geo=geo) as edge:
        yield Place(edge, site)


@about("ab-test")
@pytest.mark.parametrize("variant", ["a", "b"])
async def test_a_visitor_stays_on_the_variant_of_the_cookie(place: Place, variant: str) -> None:
    answer = await place.edge.get("/home", Cookie=f"theme=dark; variant={variant}")
    assert answer.text == f"/home-{variant}.html"
    assert place.last(f"/home-{variant}.html").header("X-Variant") == variant


@about("ab-test")
async def test_a_new_visitor_has_the_variant_of_the_address(place: Place) -> None:
    assert sum(map(ord, "127.0.0.1")) % 2 == 1
    assert (await place.edge.get("/home", Cookie="variant=c")).text == "/home-b.html"
    assert (await place.edge.get("/homes")).text == "/homes"


@about("visit-cookie")
async def test_the_variant_is_remembered_in_a_cookie(place: Place) -> None:
    answer = await place.edge.get("/home", Cookie="variant=b")
    assert answer.all("Set-Cookie") == ["variant=b; Path=/; Max-Age=86400"]
    assert answer["X-Visit"] == "welcome"

    other = await place.edge.get("/homes")
    assert (other.get("Set-Cookie"), other["X-Visit"]) == (None, "welcome")


@about("add-security-headers")
async def test_security_headers_are_added(place: Place) -> None:
    answer = await place.edge.get("/safe")
    assert answer["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"


@about("api-versions")
@pytest.mark.parametrize(
    ("accept", "target"),
    [
        ("application/vnd.example.v2+json", "/api/v2/orders?page=1"),
        ("text/html, application/vnd.example.v3+json;q=0.9", "/api/v3/orders?page=1"),
        ("*/*", "/api/v3/orders?page=1"),
    ],
)
async def test_the_version_of_an_api_is_in_the_accept_header(place: Place, accept: str, target: str) -> None:
    assert (await place.edge.get("/api/orders?page=1", Accept=accept)).text == target


@about("api-versions")
async def test_a_version_that_is_no_more_is_not_acceptable(place: Place) -> None:
    answer = await place.edge.get("/api/orders", Accept="application/vnd.example.v1+json")
    assert (answer.status, answer.json()) == (406, {"versions": [2, 3]})


@about("basic-auth")
async def test_a_password_opens_what_is_private(place: Place) -> None:
    refused = await place.edge.get("/private/report")
    assert (refused.status, refused.x_cache) == (401, "LambdaGeneratedResponse")
    assert refused["WWW-Authenticate"] == 'Basic realm="private"'
    assert (await place.edge.get("/private/report", Authorization="Basic YWRhOndyb25n")).status == 401

    right = "Basic " + base64.b64encode(b"ada:lovelace").decode()
    assert (await place.edge.get("/private/report", Authorization=right)).text == "/private/report"


@about("cache-rules")
@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/rules/app.css", "public, max-age=31536000, immutable"),
        ("/rules/logo.png", "public, max-age=86400"),
        ("/rules/", "public, max-age=60"),
        ("/rules/said.css", "max-age=5"),
        ("/rules/gone.css", None),
        ("/rules/other.bin", None),
    ],
)
async def test_a_page_keeps_as_long_as_its_kind(place: Place, path: str, rule: str | None) -> None:
    assert (await place.edge.get(path)).get("Cache-Control") == rule


@about("canary-origin")
async def test_testers_go_to_the_canary(place: Place) -> None:
    assert (await place.edge.get("/canary", X_Tester="1")).text == "/next/canary"
    seen = place.last("/next/canary")
    assert (seen.header("Host"), seen.header("X-Canary")) == ("canary.origin.test", "yes")

    assert (await place.edge.get("/canary")).text == "/canary"
    assert place.last("/canary").header("Host") == place.site.address


@about("cors")
async def test_a_preflight_is_answered_at_the_edge(place: Place) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"}
    answer = await place.edge.ask("OPTIONS", "/cors", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer["Access-Control-Allow-Methods"] == "GET, POST, PUT"

    refused = await place.edge.ask("OPTIONS", "/cors", headers=headers | {"Origin": "https://evil.example"})
    assert (refused.status, refused.get("Access-Control-Allow-Origin")) == (403, None)


@about("cors")
async def test_only_known_sites_may_read(place: Place) -> None:
    known = await place.edge.get("/cors", Origin="https://admin.example.com")
    assert known["Access-Control-Allow-Origin"] == "https://admin.example.com"
    assert known.all("Vary") == ["Accept", "Origin"]

    unknown = await place.edge.get("/cors", Origin="https://evil.example")
    assert (unknown.status, unknown.get("Access-Control-Allow-Origin")) == (200, None)


@about("country-origin")
@pytest.mark.parametrize(
    ("address", "host"), [("127.0.0.1", "de.origin.test"), ("127.0.0.2", "jp.origin.test"), ("127.0.0.3", "")]
)
async def test_viewers_go_to_an_origin_near_them(place: Place, address: str, host: str) -> None:
    connector = TCPConnector(local_addr=(address, 0))
    async with ClientSession(connector=connector) as viewer, viewer.get(f"{place.edge.base}/near") as answer:
        assert answer.status == 200
    assert place.last("/near").header("Host") == (host or place.site.address)


@about("debug-echo")
async def test_the_event_can_be_looked_at(place: Place) -> None:
    told = (await place.edge.get("/echo?a=1", X_Mine="yes")).json()
    assert (told["function"], told["memory"]) == ("us-east-1.debug-echo", "192")
    event = json.dumps(told["event"])
    assert '"eventType": "origin-request"' in event
    assert '"querystring": "a=1"' in event
    assert '"x-mine": [{"key": "X-Mine", "value": "yes"}]' in event


@about("device-variant")
@pytest.mark.parametrize(
    ("user_agent", "path"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "/small/screen.jpg"),
        ("Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X)", "/medium/screen.jpg"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "/screen.jpg"),
    ],
)
async def test_small_screens_get_small_pictures(place: Place, user_agent: str, path: str) -> None:
    assert (await place.edge.get("/screen.jpg", User_Agent=user_agent)).text == path


@about("friendly-errors")
async def test_an_error_of_the_origin_gets_a_friendly_page(place: Place) -> None:
    answer = await place.edge.get("/shop/broken&co")
    assert (answer.status, answer["Cache-Control"]) == (503, "no-store")
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert "<p>/shop/broken&amp;co answered 503." in answer.text
    assert answer["X-Amz-Cf-Id"] in answer.text
    assert "stack trace" not in answer.text
    assert (await place.edge.get("/shop/fine")).text == "/shop/fine"


@about("geo-header")
async def test_a_page_is_told_where_its_viewer_is(place: Place) -> None:
    assert (await place.edge.get("/client"))["X-Client"] == "127.0.0.1"


@about("harden-cookies")
async def test_cookies_get_the_attributes_that_they_lack(place: Place) -> None:
    assert (await place.edge.get("/cookies")).all("Set-Cookie") == [
        "a=1; Path=/; Secure; HttpOnly; SameSite=Lax",
        "b=2; secure; SameSite=Strict; HttpOnly",
    ]
    assert (await place.edge.get("/cookies/none")).all("Set-Cookie") == []


@about("json-greeting")
async def test_an_api_without_a_server_remembers_while_it_is_warm(place: Place) -> None:
    first, second = await place.edge.get("/greet"), await place.edge.get("/greet?name=Ada%20L.")
    assert first.json() == {"greeting": "Hello, world!", "visit": 1, "function": "us-east-1.json-greeting"}
    assert second.json() == {"greeting": "Hello, Ada L.!", "visit": 2, "function": "us-east-1.json-greeting"}
    assert not place.site.asked("/greet")


def signed(claims: dict[str, object], *, algorithm: str = "HS256", key: bytes = b"not a secret in a demo") -> str:
    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": algorithm}, claims))
    return f"Bearer {text}.{encoded(hmac.digest(key, text.encode(), hashlib.sha256))}"


@about("jwt-check")
async def test_a_token_says_who_it_is(place: Place) -> None:
    token = signed({"sub": "ada", "exp": time.time() + 60})
    answer = await place.edge.get("/account", Authorization=token, X_User="root")
    assert answer.status == 200
    assert place.last("/account").header("X-User") == "ada"


@about("jwt-check")
@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "missing"),
        ("Basic YWRh", "missing"),
        ("Bearer nonsense", "invalid"),
        (signed({"sub": "ada", "exp": time.time() + 60}, key=b"another"), "invalid"),
        (signed({"sub": "ada", "exp": time.time() + 60}, algorithm="none"), "invalid"),
        (signed({"sub": "ada", "exp": time.time() - 60}), "expired"),
        (signed({"sub": "ada"}), "expired"),
    ],
)
async def test_without_a_good_token_nobody_gets_in(place: Place, token: str, why: str) -> None:
    answer = await place.edge.get("/account", Authorization=token)
    assert answer.status == 401
    assert answer["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{why}"'


@about("language-redirect")
@pytest.mark.parametrize(
    ("accepted", "location"),
    [
        ("de-AT, en;q=0.9", "/de/"),
        ("es, fr;q=0.5, en;q=0.7", "/en/"),
        ("en;q=0.2, fr;q=0.9", "/fr/"),
        ("es", "/en/"),
        (None, "/en/"),
    ],
)
async def test_the_front_page_speaks_the_language_of_the_visitor(
    place: Place, accepted: str | None, location: str
) -> None:
    answer = await place.edge.ask("GET", "/", headers={"Accept-Language": accepted} if accepted else {})
    assert (answer.status, answer["Location"], answer["Vary"]) == (307, location, "Accept-Language")


@about("language-redirect")
async def test_other_pages_are_not_redirected(place: Place) -> None:
    assert (await place.edge.get("/de/", Accept_Language="fr")).text == "/de/"


@about("legacy-redirects")
async def test_old_addresses_move_with_their_query(place: Place) -> None:
    plain, asked = await place.edge.get("/old-home"), await place.edge.get("/blog.php?id=7")
    assert (plain.status, plain["Location"], plain["Cache-Control"]) == (301, "/home", "max-age=3600")
    assert (asked.status, asked["Location"], asked.x_cache) == (301, "/articles/?id=7", "LambdaGeneratedResponse")
    assert (await place.edge.get("/blog")).text == "/blog"


@about("maintenance")
async def test_only_the_team_gets_through_while_the_site_is_closed(place: Place) -> None:
    answer = await place.edge.get("/closed")
    assert (answer.status, answer["Retry-After"]) == (503, "120")
    assert f"Request {answer['X-Amz-Cf-Id']} came in" in answer.text
    assert (await place.edge.get("/closed", X_Team="1")).text == "/closed"


@about("normalise-query")
@pytest.mark.parametrize("query", ["b=2&A=1", "a=1&b=2", "utm_source=mail&A=1&b=2"])
async def test_a_query_has_one_spelling(place: Place, query: str) -> None:
    assert (await place.edge.get(f"/search?{query}")).text == "/search?a=1&b=2"


@about("normalise-query")
async def test_no_query_stays_no_query(place: Place) -> None:
    assert (await place.edge.get("/search")).text == "/search"
    assert (await place.edge.get("/search?utm_source=mail")).text == "/search"


@about("not-found-page")
async def test_what_is_not_found_gets_a_page(place: Place) -> None:
    answer = await place.edge.get("/wiki/none")
    assert (answer.status, answer.reason, answer.text) == (200, "OK", "<h1>Nothing at /wiki/none</h1>\n")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("text/html; charset=utf-8", "max-age=10")
    assert (answer["X-Kept"], answer["Content-Length"]) == ("yes", str(len(answer.body)))
    assert (await place.edge.get("/wiki/page")).text == "/wiki/page"


@about("pixel")
async def test_a_picture_is_made_at_the_edge_and_cached(place: Place) -> None:
    first, second = await place.edge.get("/pixel.gif"), await place.edge.get("/pixel.gif")
    assert first.body.startswith(b"GIF89a")
    assert first["Content-Type"] == "image/gif"
    assert (first.x_cache, second.x_cache, second.body) == ("Miss", "Hit", first.body)
    assert not place.site.asked("/pixel.gif")
    assert (await place.edge.get("/pixels")).text == "/pixels"


@about("pretty-urls")
@pytest.mark.parametrize(
    ("path", "at_the_origin"),
    [
        ("/docs", "/docs/index.html"),
        ("/docs/", "/docs/index.html"),
        ("/docs/v1.2/start", "/docs/v1.2/start/index.html"),
        ("/docs/logo.svg", "/docs/logo.svg"),
    ],
)
async def test_a_folder_is_its_index_page(place: Place, path: str, at_the_origin: str) -> None:
    assert (await place.edge.get(path)).text == at_the_origin


@about("redirect-table")
async def test_a_table_beside_the_code_has_short_addresses(place: Place) -> None:
    team, slash, jobs = [await place.edge.get(path) for path in ("/team", "/team/", "/jobs")]
    assert (team.status, team["Location"]) == (302, "/about/team")
    assert (slash.status, slash["Location"]) == (302, "/about/team")
    assert (jobs.status, jobs["Location"]) == (302, "https://jobs.example.com/")
    assert (await place.edge.get("/teams")).text == "/teams"


@about("rewrite-location")
async def test_redirects_keep_viewers_on_our_name(place: Place) -> None:
    assert (await place.edge.get("/moved"))["Location"] == "/new?x=1#part"
    assert (await place.edge.get("/moved-away"))["Location"] == "https://elsewhere.example/new"
    assert (await place.edge.get("/moved-nowhere")).get("Location") is None


@about("robots-txt")
async def test_search_engines_stay_out_of_all_but_the_real_site(place: Place) -> None:
    real = await place.edge.get("/robots.txt", Host="www.example.com")
    other = await place.edge.get("/robots.txt", Host="staging.example.com")
    assert real.text == "User-agent: *\nAllow: /\n"
    assert other.text == "User-agent: *\nDisallow: /\n"
    assert (await place.edge.get("/robots")).text == "/robots"


@about("s3-by-path")
async def test_pictures_come_from_a_bucket_of_their_own(place: Place) -> None:
    assert (await place.edge.get("/pictures/cat.jpg")).text == "/cat.jpg"
    assert place.last("/cat.jpg").header("Host") == "pictures.s3.us-east-1.amazonaws.com"

    assert (await place.edge.get("/assets/app.js")).text == "/assets/app.js"
    assert place.last("/assets/app.js").header("Host") == "assets.s3.us-east-1.amazonaws.com"


@about("session-cookie")
async def test_without_a_session_the_way_leads_to_the_sign_in(place: Place) -> None:
    answer = await place.edge.get("/members/area?tab=1", Cookie="session=; theme=dark")
    assert (answer.status, answer["Location"]) == (302, "/sign-in?back=%2Fmembers%2Farea%3Ftab%3D1")
    assert answer.all("Set-Cookie") == ["session=; Max-Age=0", "seen=1"]
    assert (await place.edge.get("/members/area"))["Location"] == "/sign-in?back=%2Fmembers%2Farea"
    assert (await place.edge.get("/members/area", Cookie="theme=dark; session=abc")).text == "/members/area"


@about("sign-origin-request")
async def test_the_origin_can_tell_that_the_edge_asks(place: Place) -> None:
    await place.edge.get("/signed?a=1", X_Signature="forged")
    seen = place.last("/signed")
    key = hashlib.pbkdf2_hmac("sha256", b"not a secret in a demo", b"edge", 1, 32)
    text = f"GET\n/signed\na=1\n{seen.header('X-Signed-At')}"
    assert seen.header("X-Signature") == hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", seen.header("X-Signed-At") or "")


@about("signed-links")
@pytest.mark.parametrize(
    ("expires", "signature", "told"),
    [
        ("4102444800", None, "/files/a.pdf"),
        ("1600000000", None, "This link has run out.\n"),
        ("4102444800", "0" * 64, "This link is not signed.\n"),
        ("soon", None, "This link is not signed.\n"),
    ],
)
async def test_a_link_needs_a_signature_and_runs_out(
    place: Place, expires: str, signature: str | None, told: str
) -> None:
    right = hmac.new(b"not a secret in a demo", f"/files/a.pdf:{expires}".encode(), hashlib.sha256).hexdigest()
    answer = await place.edge.get(f"/files/a.pdf?expires={expires}&signature={signature or right}")
    assert (answer.status, answer.text) == (200 if told.startswith("/") else 403, told)


@about("signed-links")
async def test_a_link_without_a_signature_is_refused(place: Place) -> None:
    answer = await place.edge.get("/files/a.pdf")
    assert (answer.status, answer["Content-Type"]) == (403, "text/plain")


@about("signup-body")
async def test_a_posted_form_becomes_json(place: Place) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    await place.edge.ask("POST", "/sign-up", headers=form, body=b"name=Ada&language=en&language=de")
    seen = place.last("/sign-up")
    assert seen.header("Content-Type") == "application/json"
    assert json.loads(seen.body) == {"name": "Ada", "language": ["en", "de"], "truncated": False}
    assert seen.header("Content-Length") == str(len(seen.body))


@about("signup-body")
async def test_what_is_no_form_is_passed_on(place: Place) -> None:
    await place.edge.ask("POST", "/sign-up", headers={"Content-Type": "application/json"}, body=b"{}")
    assert place.last("/sign-up").body == b"{}"
    assert (await place.edge.get("/sign-up")).text == "/sign-up"


EXIF = b"\xff\xe1" + struct.pack(">H", 12) + b"Exif\0\0here"
SIZE = b"\xff\xdb" + struct.pack(">H", 7) + b"table"
SCAN = b"\xff\xda\x00\x02" + bytes(range(256)) * 64 + b"\xff\xd9"


@about("strip-photo-location")
async def test_photos_lose_their_place_and_keep_every_other_byte(place: Place) -> None:
    await place.edge.ask("POST", "/photos", body=b"\xff\xd8" + EXIF + SIZE + SCAN)
    assert place.last("/photos").body == b"\xff\xd8" + SIZE + SCAN


@about("strip-photo-location")
async def test_other_uploads_are_passed_on_and_photos_that_are_too_large_refused(place: Place) -> None:
    await place.edge.ask("POST", "/photos", body=b"\x89PNG" + EXIF)
    assert place.last("/photos").body == b"\x89PNG" + EXIF

    answer = await place.edge.ask("POST", "/photos", body=b"\xff\xd8" + EXIF + bytes(1024**2))
    assert (answer.status, answer.text) == (413, "This photo is too large.\n")


@about("webp")
@pytest.mark.parametrize(
    ("path", "accept", "at_the_origin"),
    [
        ("/img/cat.jpg", "image/avif, image/webp, */*", "/img/cat.jpg.webp"),
        ("/img/cat.PNG", "image/webp;q=0.8", "/img/cat.PNG.webp"),
        ("/img/cat.jpg", "image/webp;q=0, */*", "/img/cat.jpg"),
        ("/img/cat.jpg", "*/*", "/img/cat.jpg"),
        ("/img/cat.svg", "image/webp", "/img/cat.svg"),
    ],
)
async def test_browsers_that_read_webp_get_it(place: Place, path: str, accept: str, at_the_origin: str) -> None:
    assert (await place.edge.get(path, Accept=accept)).text == at_the_origin


async def test_every_folder_is_shown_at_work_and_stands_in_the_readme() -> None:
    # The guests are shown at work in tests/guests, the CloudFront Functions in test_cloudfront_hooks_folder.
    folders = {
        entry.name for entry in HOOKS.iterdir() if entry.is_dir() and not entry.name.startswith(("wasm-", "cff-"))
    }
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([a-z, -]+) \| (Node\.js|Python) \| .+ \|$", _readme(), re.MULTILINE)
    assert folders == SHOWN
    assert [name for name, _, _ in rows] == sorted(folders)
    assert all(language == _language(HOOKS / name) for name, _, language in rows)


def _readme() -> str:
    return (HOOKS / "README.md").read_text().split("|---|---|---|---|\n")[1].partition("\n\n")[0] + "\n"


def _language(folder: Path) -> str:
    return "Python" if any(folder.rglob("*.py")) else "Node.js"
