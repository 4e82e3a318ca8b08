"""Every CloudFront Function in hooks/ at work: asked for over HTTP, with an origin behind it."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.cli.running import edgefn
from tests.fakes.geo_database import write_geo_database
from tests.fakes.scripted_origin import SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import HOOKS, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = re.findall(
    r"^\| (cff-[a-z-]+) \| (viewer-request|viewer-response) \| ([12]\.0) \| .+ \|$",
    (HOOKS / "README.md").read_text(),
    re.MULTILINE,
)
RUNTIMES = {name: f"cloudfront-js-{version}" for name, _, version in ROWS}
READERS = {"cff-kvs-redirects": "redirects", "cff-tenant-origin": "tenants", "cff-access-token": "keys"}

ROUTES = """
routes:
  - {path: /app/*, origin: app, hooks: {viewer-request: cff-spa-routes}}
  - {path: /docs*, origin: app, hooks: {viewer-request: cff-index-html}}
  - path: /world
    origin: app
    forward: {add: [CloudFront-Viewer-Country]}
    hooks: {viewer-request: cff-country-redirect}
  - {path: /video/*, origin: app, hooks: {viewer-request: cff-jwt}}
  - {path: /shop*, origin: app, hooks: {viewer-request: cff-ab-cookie, viewer-response: cff-ab-remember}}
  - {path: /safe, origin: app, hooks: {viewer-response: cff-security-headers}}
  - {path: /cors*, origin: app, hooks: {viewer-request: cff-cors-preflight, viewer-response: cff-cors-allow}}
  - {path: /search, origin: app, cache: {default_ttl: 1m}, hooks: {viewer-request: cff-query-order}}
  - {path: /blog/*, origin: app, hooks: {viewer-request: cff-kvs-redirects}}
  - {path: /files/*, origin: app, hooks: {viewer-request: cff-signed-url}}
  - {path: /staging, origin: app, hooks: {viewer-request: cff-basic-auth}}
  - {path: /closed, origin: app, hooks: {viewer-request: cff-maintenance}}
  - {path: /cookies, origin: app, hooks: {viewer-response: cff-cookies}}
  - {path: /read*, origin: app, hooks: {viewer-request: cff-language}}
  - {path: /canary, origin: app, hooks: {viewer-request: cff-canary-origin}}
  - {path: /tenants/*, origin: app, hooks: {viewer-request: cff-tenant-origin}}
  - {path: /report, origin: app, hooks: {viewer-request: cff-failover}}
  - {path: /who, origin: app, hooks: {viewer-request: cff-true-client-ip}}
  - {path: /static/*, origin: app, hooks: {viewer-response: cff-static-headers}}
  - {path: /live/*, origin: app, hooks: {viewer-request: cff-access-token}}
  - {path: "*", origin: app}
"""
FUNCTIONS = "".join(
    f'  {name}: {{path: "{{hooks}}/{name}", runtime: {runtime}'
    + (f", kvs: {READERS[name]}" if name in READERS else "")
    + "}\n"
    for name, runtime in RUNTIMES.items()
)
CONFIGURATION = f"""
origins:
  app: {{url: "http://127.0.0.1:{{port}}"}}
  other: {{url: "http://127.0.0.1:{{other}}"}}
  broken: {{url: "http://127.0.0.1:{{broken}}"}}
resolve: {{canary.origin.test: "127.0.0.1:{{other}}"}}
geo_database: "{{geo}}"
kvs: {{redirects: redirects.json, tenants: tenants.json, keys: keys.json}}
functions:
{FUNCTIONS}{ROUTES}"""

STORES = {
    "redirects": {"/blog/old": "/blog/new", "/blog/2019/*": {"to": "/archive/2019"}},
    "tenants": {"tenant:acme": {"origin": "other", "folder": "/acme-files"}},
    "keys": {"key:k1": "sesame"},
}
PAGES = {
    "/safe": page(200, b"page", "X-Powered-By: me"),
    "/cookies": page(
        200, b"", "Set-Cookie: a=1; Path=/", "Set-Cookie: a=2; Secure", "Set-Cookie: debug=1", "Set-Cookie: plain=x"
    ),
    "/cors/open": page(200, b"", "Access-Control-Allow-Origin: *"),
    "/static/empty": page(204),
}

Test = TypeVar("Test", bound=Callable[..., object])
SHOWN: set[str] = set()


def about(*names: str) -> Callable[[Test], Test]:
    """Say which folders of hooks/ a test shows at work."""
    SHOWN.update(names)
    return lambda test: test


@dataclass(frozen=True, slots=True)
class Place:
    """The location, and the origins behind it."""

    edge: Edge
    site: Website
    other: Website

    def last(self, path: str) -> SeenRequest:
        """Return the first origin's last request for the path."""
        return self.site.asked(path)[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="place")
async def _place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    tmp_path = tmp_path_factory.mktemp("cloudfront-hooks")
    geo = write_geo_database(tmp_path / "geo.mmdb", {"127.0.0.1": "AT"})
    for name, pairs in STORES.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(pairs))
    async with (
        Website(PAGES) as site,
        Website() as other,
        Website({"/report": page(503, b"broken")}) as broken,
        Edge(CONFIGURATION, tmp_path, port=site.port, other=other.port, broken=broken.port, geo=geo) as edge,
    ):
        yield Place(edge, site, other)


@about("cff-spa-routes")
@pytest.mark.parametrize(("path", "at_the_origin"), [("/app/users/7", "/index.html"), ("/app/main.js", "/app/main.js")])
async def test_the_pages_of_an_application_are_one(place: Place, path: str, at_the_origin: str) -> None:
    assert (await place.edge.get(path)).text == at_the_origin


@about("cff-index-html")
@pytest.mark.parametrize(
    ("path", "at_the_origin"),
    [("/docs", "/docs/index.html"), ("/docs/a/?x=1", "/docs/a/index.html?x=1"), ("/docs/a.css", "/docs/a.css")],
)
async def test_a_folder_is_its_index(place: Place, path: str, at_the_origin: str) -> None:
    assert (await place.edge.get(path)).text == at_the_origin


@about("cff-country-redirect")
async def test_the_home_page_is_that_of_the_country(place: Place) -> None:
    answer = await place.edge.get("/world", CloudFront_Viewer_Country="FR")
    assert (answer.status, answer["Location"], answer["Cache-Control"]) == (302, "/de/", "no-store")


def jwt(claims: dict[str, object], *, algorithm: str = "HS256", key: bytes = b"not a secret in a demo") -> str:
    parts = [json.dumps({"alg": algorithm, "typ": "JWT"}).encode(), json.dumps(claims).encode()]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).rstrip(b"=")
    return f"{text.decode()}.{signature.decode()}"


@about("cff-jwt")
async def test_a_token_lets_in_and_goes_no_further(place: Place) -> None:
    answer = await place.edge.get(f"/video/a?x=1&jwt={jwt({'sub': 'ada', 'exp': time.time() + 60})}")
    assert (answer.status, answer.text) == (200, "/video/a?x=1")
    assert place.last("/video/a").header("X-User") == "ada"


@about("cff-jwt")
@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "!.!.!",
        jwt({"sub": "ada", "exp": 1_600_000_000}),
        jwt({"sub": "ada", "nbf": 4_102_444_800}),
        jwt({"sub": "ada"}, key=b"another"),
        jwt({"sub": "ada"}, algorithm="none"),
    ],
)
async def test_no_other_token_lets_in(place: Place, token: str) -> None:
    answer = await place.edge.get(f"/video/refused?jwt={token}")
    assert (answer.status, answer["WWW-Authenticate"], answer.x_cache) == (401, "Bearer", "FunctionGeneratedResponse")
    assert place.site.asked("/video/refused") == []


@about("cff-ab-cookie", "cff-ab-remember")
@pytest.mark.parametrize(("variant", "path"), [("new", "/new/shop"), ("old", "/shop")])
async def test_a_visitor_stays_with_a_variant(place: Place, variant: str, path: str) -> None:
    answer = await place.edge.get("/shop", Cookie=f"a=1; shop={variant}")
    assert answer.text == path
    assert answer["Set-Cookie"] == f"shop={variant}; Path=/; Max-Age=2592000; Secure; HttpOnly"
    assert place.last(path).header("Cookie") == f"a=1; shop={variant}"


@about("cff-ab-cookie", "cff-ab-remember")
async def test_new_visitors_are_divided(place: Place) -> None:
    texts = {(await place.edge.get(f"/shop/{number}")).text.startswith("/new/") for number in range(40)}
    assert texts == {True, False}  # forty coins that fall on one side: once in 500 thousand million runs


@about("cff-security-headers")
async def test_headers_are_added_and_taken_away(place: Place) -> None:
    answer = await place.edge.get("/safe")
    assert answer["Strict-Transport-Security"] == "max-age=63072000; includeSubdomains; preload"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer.get("X-Powered-By") is None


@about("cff-cors-preflight")
async def test_a_preflight_is_answered_at_the_edge(place: Place) -> None:
    answer = await place.edge.ask("OPTIONS", "/cors/data", headers={"Origin": "https://app.example.com"})
    assert (answer.status, answer["Access-Control-Allow-Origin"], answer["Vary"], answer.body) == (
        204, "https://app.example.com", "Origin", b"",
    )  # fmt: skip
    assert answer.get("Content-Length") is None
    other = await place.edge.ask("OPTIONS", "/cors/data", headers={"Origin": "https://evil.example"})
    assert other.get("Access-Control-Allow-Origin") is None


@about("cff-cors-allow")
async def test_a_page_that_is_allowed_may_read(place: Place) -> None:
    origin = "https://admin.example.com"
    assert (await place.edge.get("/cors/data", Origin=origin))["Access-Control-Allow-Origin"] == origin
    assert (await place.edge.get("/cors/open", Origin=origin)).all("Access-Control-Allow-Origin") == ["*"]
    assert (await place.edge.get("/cors/data", Origin="https://evil.example")).get(
        "Access-Control-Allow-Origin"
    ) is None


@about("cff-query-order")
async def test_spellings_of_a_query_are_one_key(place: Place) -> None:
    first = await place.edge.get("/search?q=Red+Shoes&utm=x&PAGE=2&q=BLUE")
    second = await place.edge.get("/search?page=2&q=red%20shoes&q=blue")
    assert (first.text, second.text) == ("/search?page=2&q=red%20shoes&q=blue",) * 2
    assert second.x_cache == "Hit"
    assert (await place.edge.get("/search?utm=x")).text == "/search"


@about("cff-kvs-redirects")
@pytest.mark.parametrize(
    ("path", "location"), [("/blog/old", "/blog/new"), ("/blog/2019/may", "/archive/2019/may"), ("/blog/2020", None)]
)
async def test_a_store_knows_the_redirects(place: Place, path: str, location: str | None) -> None:
    answer = await place.edge.get(path)
    assert (answer.status, answer.get("Location")) == (301 if location else 200, location)


def signed(path: str, expires: int) -> str:
    signature = hmac.new(b"not a secret in a demo", f"{path}:{expires}".encode(), hashlib.sha256).hexdigest()
    return f"{path}?expires={expires}&signature={signature}"


@about("cff-signed-url")
@pytest.mark.parametrize(
    ("target", "why"),
    [
        (signed("/files/a.zip", 4_102_444_800), None),
        (signed("/files/a.zip", 1_600_000_000), "run out"),
        (signed("/files/a.zip", 4_102_444_800)[:-1], "wrong signature"),
        ("/files/a.zip", "not signed"),
    ],
)
async def test_a_link_is_signed_and_runs_out(place: Place, target: str, why: str | None) -> None:
    answer = await place.edge.get(target)
    assert (answer.status, answer.get("X-Why")) == (403 if why else 200, why)
    if why is None:
        assert answer.text == "/files/a.zip"


@about("cff-basic-auth")
async def test_a_password_is_asked_for(place: Place) -> None:
    answer = await place.edge.get("/staging")
    assert (answer.status, answer.text) == (401, "A user name and a password, please.\n")
    assert answer["WWW-Authenticate"] == 'Basic realm="staging", charset="UTF-8"'
    right = base64.b64encode(b"ada:lovelace").decode()
    assert (await place.edge.get("/staging", Authorization=f"Basic {right}")).status == 200


@about("cff-maintenance")
async def test_the_site_is_closed_but_for_the_team(place: Place) -> None:
    answer = await place.edge.get("/closed")
    assert (answer.status, answer["Retry-After"], answer["Content-Type"]) == (503, "3600", "text/html; charset=utf-8")
    assert answer.text == "<!doctype html><title>Back soon</title><p>We are moving house.</p>"
    assert (await place.edge.get("/closed", Cookie="team=yes")).text == "/closed"


@about("cff-cookies")
async def test_cookies_are_hardened_taken_out_and_put_in(place: Place) -> None:
    answer = await place.edge.get("/cookies")
    assert answer.all("Set-Cookie") == ["a=1; Path=/; Secure", "a=2; Secure", "plain=x; Secure", "seen=1; Max-Age=60"]


@about("cff-language")
@pytest.mark.parametrize(
    ("header", "language"), [("fr, ja;q=0.4, de-AT;q=0.8", "de"), ("fr", "en"), ("", "en"), ("ja;q=0, *", "en")]
)
async def test_the_language_becomes_part_of_the_path(place: Place, header: str, language: str) -> None:
    assert (await place.edge.get("/read/me", Accept_Language=header)).text == f"/{language}/read/me"


@about("cff-canary-origin")
async def test_testers_get_another_origin(place: Place) -> None:
    assert (await place.edge.get("/canary", Cookie="tester=1")).status == 200
    seen = place.other.asked("/canary")[-1]
    assert (seen.header("X-Canary"), seen.header("Host")) == ("yes", f"canary.origin.test:{place.site.port}")
    assert place.site.asked("/canary") == []
    assert (await place.edge.get("/canary")).status == 200
    assert len(place.site.asked("/canary")) == 1


@about("cff-tenant-origin")
async def test_a_tenant_has_an_origin(place: Place) -> None:
    assert (await place.edge.get("/tenants/acme/a.txt")).text == "/acme-files/a.txt"
    assert len(place.other.asked("/acme-files/a.txt")) == 1
    unknown = await place.edge.get("/tenants/nobody/a.txt")
    assert (unknown.status, unknown.text) == (404, "There is no tenant nobody.\n")


@about("cff-failover")
async def test_the_second_origin_answers_when_the_first_fails(place: Place) -> None:
    answer = await place.edge.get("/report")
    assert (answer.status, answer.text) == (200, "/report")
    line = await place.edge.log_line(answer["X-Amz-Cf-Id"])
    assert re.search(r"origin=broken/503/\S+ origin=app/200/", line)


@about("cff-true-client-ip")
async def test_the_origin_learns_who_asks(place: Place) -> None:
    answer = await place.edge.get("/who", True_Client_IP="1.2.3.4")
    seen = place.last("/who")
    assert [value for name, value in seen.headers if name.lower() == "true-client-ip"] == ["127.0.0.1"]
    assert seen.header("X-Request-Id") == answer["X-Amz-Cf-Id"]


@about("cff-static-headers")
async def test_a_response_is_changed_on_its_way_out(place: Place) -> None:
    kept = await place.edge.get("/static/app.0a1b2c3d.js")
    assert kept["Cache-Control"] == "public, max-age=31536000, immutable"
    empty = await place.edge.get("/static/empty")
    assert (empty.status, empty.reason, empty.text) == (200, "OK", "There is nothing here yet.\n")
    assert empty["Content-Length"] == "27"


def cwt(claims: str, key: bytes = b"sesame") -> str:
    """Return a token with claims in CBOR, as hex: a MAC over what RFC 9052 section 6.3 says."""
    payload = bytes.fromhex(claims)
    protected = bytes.fromhex("a10105")
    signed_part = b"\x84\x64MAC0" + b"\x43" + protected + b"\x40" + bytes([0x40 | len(payload)]) + payload
    mac = hmac.new(key, signed_part, hashlib.sha256).digest()
    token = b"\xd1\x84\x43" + protected + b"\xa0" + bytes([0x40 | len(payload)]) + payload + b"\x58\x20" + mac
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


LIVE = "a202" + "66" + b"/live/".hex() + "04" + "1af48656ff"  # {2: "/live/", 4: 4102444799}
OTHER = "a202" + "66" + b"/vod/a".hex() + "04" + "1af48656ff"
OLD = "a202" + "66" + b"/live/".hex() + "04" + "1a5f5e1000"


@about("cff-access-token")
@pytest.mark.parametrize(
    ("token", "why"),
    [
        (cwt(LIVE), None),
        (cwt(LIVE, b"Sesame"), "the signature does not match"),
        (cwt(OTHER), "it is for /vod/a"),
        (cwt(OLD), "it has run out"),
        ("AAAA", "Invalid token"),
    ],
)
async def test_a_stream_needs_a_token(place: Place, token: str, why: str | None) -> None:
    answer = await place.edge.get("/live/1", X_Token=token, X_Token_Key="k1")
    assert answer.status == (403 if why else 200)
    if why is None:
        assert place.last("/live/1").header("X-Token") is None
    else:
        assert why in await place.edge.log_line(answer["X-Amz-Cf-Id"])


async def test_every_function_is_shown_at_work_and_stands_in_the_readme() -> None:
    folders = {entry.name for entry in HOOKS.glob("cff-*")}
    assert folders == SHOWN
    assert [name for name, _, _ in ROWS] == sorted(folders)


@pytest.mark.parametrize("name", ["cff-kvs-redirects", "cff-index-html"])
async def test_aws_would_run_them_too(name: str) -> None:
    done = edgefn("check", "--strict", HOOKS / name, "--runtime", RUNTIMES[name])
    assert (done.returncode, done.stderr) == (0, "")
