"""What a good file becomes."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.configuration.loader import load, oversized, verify
from edgefn.model.headers import Headers
from edgefn.model.hook import Event
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.settings import (
    ALL,
    NONE,
    CachePolicy,
    Certificate,
    ErrorPage,
    Forwarding,
    FunctionSettings,
    HookSettings,
    Listen,
    OriginGroup,
    QuotaProfile,
    RouteSettings,
    Selecting,
    Selection,
    Settings,
    ViewerProtocol,
)
from edgefn.rules.policies import cache_policy

MINIMAL = """
location: fra1
listen: 127.0.0.1:8080
origins:
  app: {url: http://127.0.0.1:9000}
routes:
  - {path: "*", origin: app}
"""


def settings(text, base="/srv"):
    return load(text, filename="edge.yaml", base=base)


def with_route(lines):
    indented = "\n".join(f"    {line}" for line in lines.strip().splitlines())
    return MINIMAL.replace('  - {path: "*", origin: app}', f'  - path: "*"\n    origin: app\n{indented}')


def route(lines):
    return settings(with_route(lines)).routes[0]


def test_the_least_file_gets_the_models_own_defaults():
    assert settings(MINIMAL) == Settings(
        location="fra1",
        listen=(Listen("127.0.0.1", 8080),),
        routes=(RouteSettings("*", "app"),),
        origins={"app": Origin("app", "127.0.0.1", 9000)},
        data_dir="/srv/var",
    )


def test_a_function_gets_the_models_own_defaults():
    text = MINIMAL + "functions:\n  f: {path: ../f, runtime: nodejs20.x}\n"
    assert settings(text).functions == {"f": FunctionSettings("f", "/f", "nodejs20.x")}


def test_the_shape_that_examples_rely_on():
    read = settings("""
location: fra1
listen: 127.0.0.1:8080
admin: 127.0.0.1:8082
workers: 1
data_dir: ./var
cache: {memory: 256MB, disk: 2GB}
origins:
  app: {url: http://127.0.0.1:9000, connect_timeout: 5s, response_timeout: 30s}
functions:
  add-header: {path: ../hooks/add-header, runtime: nodejs20.x, handler: index.handler, timeout: 5s, memory: 128MB}
routes:
  - path: /static/*
    origin: app
    cache: {min_ttl: 0s, default_ttl: 0s, max_ttl: 365d, key: {headers: [], cookies: none, query: all}}
    hooks: {viewer-request: "add-header:7", origin-response: add-header}
  - path: "*"
    origin: app
""")
    assert read.admin == ("127.0.0.1", 8082)
    assert (read.cache_memory, read.cache_disk) == (256 * 1024**2, 2 * 1024**3)
    assert read.origins["app"].connect_timeout == 5.0
    assert read.functions["add-header"].path == "/hooks/add-header"
    assert read.routes[0].cache == CachePolicy()
    assert read.routes[0].hooks == {
        Event.VIEWER_REQUEST: HookSettings("add-header", "7"),
        Event.ORIGIN_RESPONSE: HookSettings("add-header"),
    }


def test_listeners_in_a_list_with_and_without_certificates():
    text = MINIMAL.replace(
        "listen: 127.0.0.1:8080",
        'listen: ["[::1]:80", {address: 0.0.0.0:443, certificates: [{certificate: a.pem, key: tls/a.key}]}]',
    )
    assert settings(text).listen == (
        Listen("::1", 80),
        Listen("0.0.0.0", 443, (Certificate("/srv/a.pem", "/srv/tls/a.key"),)),
    )


def test_everything_at_the_top():
    read = settings(
        MINIMAL
        + """
admin: off
workers: auto
data_dir: /var/lib/edgefn
default_root_object: index.html
error_pages: {404: /404.html, 503: {path: /busy.html, status: 200, ttl: 1m}}
quotas: aws-legacy
viewer: {headers_size: 16KB, connections: 5}
sandbox: {mode: landlock, user: nobody, parked: 0}
geo_database: geo/city.mmdb
distribution: {id: E1, domain: d1.cloudfront.net}
resolve: {API.example.com: "127.0.0.1:9001"}
access_log: off
drain_timeout: 1m
"""
    )
    assert read.admin is None
    assert read.workers == 0
    assert read.data_dir == "/var/lib/edgefn"
    assert read.default_root_object == "index.html"
    assert read.error_pages == {
        404: ErrorPage(404, "/404.html"),
        503: ErrorPage(503, "/busy.html", response_status=200, ttl=60.0),
    }
    assert read.quotas is QuotaProfile.AWS_LEGACY
    assert (read.viewer.headers_size, read.viewer.connections) == (16_384, 5)
    assert (read.sandbox.mode, read.sandbox.user, read.sandbox.parked) == ("landlock", "nobody", 0)
    assert read.geo_database == "/srv/geo/city.mmdb"
    assert (read.distribution_id, read.distribution_domain) == ("E1", "d1.cloudfront.net")
    assert read.resolve == {"api.example.com": "127.0.0.1:9001"}
    assert (read.access_log, read.drain_timeout) == ("", 60.0)


@pytest.mark.parametrize(
    ("url", "kind", "domain", "port", "path", "region"),
    [
        ("http://127.0.0.1:9000", "custom", "127.0.0.1", 9000, "", ""),
        ("https://App.Example.com/base/", "custom", "app.example.com", 443, "/base", ""),
        ("http://[::1]:81/", "custom", "::1", 81, "", ""),
        ("https://b.s3.amazonaws.com", "s3", "b.s3.amazonaws.com", 443, "", "us-east-1"),
        ("https://b.s3.eu-west-1.amazonaws.com/x", "s3", "b.s3.eu-west-1.amazonaws.com", 443, "/x", "eu-west-1"),
        ("http://b.s3-website.eu-west-1.amazonaws.com", "custom", "b.s3-website.eu-west-1.amazonaws.com", 80, "", ""),
    ],
)
def test_an_origin_is_what_its_url_says(url, kind, domain, port, path, region):
    origin = settings(MINIMAL.replace("http://127.0.0.1:9000", f"'{url}'")).origins["app"]
    assert (origin.kind, origin.domain, origin.port) == (kind, domain, port)
    assert (origin.path, origin.region) == (path, region)


def test_every_option_of_an_origin():
    text = MINIMAL.replace(
        "{url: http://127.0.0.1:9000}",
        "{url: 'https://app', type: s3, address: '127.0.0.1:8', connect_timeout: 250ms, connection_attempts: 1,"
        " response_timeout: 2s, completion_timeout: 1m, keepalive_timeout: 0s, headers: {X-Key: a b},"
        " tls: {verify: false, ca: ca.pem, protocols: [TLSv1.1, TLSv1.2]}}",
    )
    assert settings(text).origins["app"] == Origin(
        id="app",
        domain="app",
        port=443,
        protocol="https",
        kind=OriginKind.S3,
        custom_headers=Headers([("X-Key", "a b")]),
        connect_timeout=0.25,
        connection_attempts=1,
        response_timeout=2.0,
        completion_timeout=60.0,
        keepalive_timeout=0.0,
        ssl_protocols=("TLSv1.1", "TLSv1.2"),
        tls_verify=False,
        tls_ca="/srv/ca.pem",
        address="127.0.0.1:8",
    )


def test_a_route_may_go_to_a_group_of_origins():
    text = MINIMAL.replace("origin: app}", "origin: both}").replace(
        "routes:",
        "  spare: {url: http://s}\norigin_groups: {both: {members: [app, spare], failover: [503, 504]}}\nroutes:",
    )
    assert settings(text).origin_groups == {"both": OriginGroup("both", ("app", "spare"), frozenset({503, 504}))}


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("{min_ttl: 1m}", CachePolicy(min_ttl=60.0, default_ttl=60.0)),
        ("{default_ttl: 1m, max_ttl: 2m}", CachePolicy(default_ttl=60.0, max_ttl=120.0)),
        ("{max_ttl: 0}", CachePolicy(enabled=False, max_ttl=0.0)),
        ("{policy: CachingDisabled}", CachePolicy(enabled=False, max_ttl=0.0, query=NONE)),
        ("{policy: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad}", CachePolicy(enabled=False, max_ttl=0.0, query=NONE)),
        (
            "{policy: Managed-CachingOptimized, max_ttl: 1h, key: {query: all}}",
            replace(cache_policy("CachingOptimized"), default_ttl=3600.0, max_ttl=3600.0, query=ALL),
        ),
        ("{compress: true}", CachePolicy(compress=True, encodings=("gzip",))),
        ("{compress: true, key: {encodings: [br]}}", CachePolicy(compress=True, encodings=("br", "gzip"))),
        (
            "{heuristic_ttl: 0, error_ttl: {404: 1m, 502: 5s}, serve_stale: 0, stale_if_error: 1h, stale_retry: 2s}",
            CachePolicy(
                heuristic_ttl=0.0,
                error_ttls=((404, 60.0), (502, 5.0)),
                serve_stale=0.0,
                stale_if_error=3600.0,
                stale_retry=2.0,
            ),
        ),
        (
            "{honour_request: true, targeted: [CDN-Cache-Control], tag_headers: [X-Tags], cache_status: false}",
            CachePolicy(
                honour_request=True, targeted=("cdn-cache-control",), tag_headers=("x-tags",), cache_status=False
            ),
        ),
        (
            "{key: {headers: [Accept-Language], cookies: [a, b], query: {except: [utm]}, encodings: [gzip]}}",
            CachePolicy(
                headers=("accept-language",),
                cookies=Selection(Selecting.ONLY, ("a", "b")),
                query=Selection(Selecting.EXCEPT, ("utm",)),
                encodings=("gzip",),
            ),
        ),
        ("{key: {headers: none, query: none}}", CachePolicy(query=NONE)),
        ("{key: {sort_query: true}}", CachePolicy(sort_query=True)),
    ],
)
def test_a_cache_policy_is_a_managed_one_or_the_defaults_with_changes(written, policy):
    assert route(f"cache: {written}").cache == policy


@pytest.mark.parametrize(
    ("written", "forwarding"),
    [
        ("{}", Forwarding()),
        ("{headers: none, cookies: none, query: none}", Forwarding(NONE, NONE, NONE)),
        ("{headers: [Host, X-A]}", Forwarding(Selection(Selecting.ONLY, ("host", "x-a")), viewer_host=True)),
        ("{headers: {except: [X-A]}}", Forwarding(Selection(Selecting.EXCEPT, ("x-a",)))),
        ("{host: viewer}", Forwarding(viewer_host=True)),
        ("{policy: AllViewer}", Forwarding(ALL, ALL, ALL, viewer_host=True)),
        ("{policy: AllViewer, host: origin}", Forwarding()),
        ("{policy: HostHeaderOnly}", Forwarding(NONE, NONE, NONE, viewer_host=True)),
        ("{add: [cloudfront-viewer-country]}", Forwarding(added=("CloudFront-Viewer-Country",))),
    ],
)
def test_what_is_forwarded(written, forwarding):
    assert route(f"forward: {written}").forwarding == forwarding


def test_a_hook_may_ask_for_the_body_and_a_route_for_https():
    text = with_route("viewer_protocol: https-only\nhooks: {origin-request: {function: 'f:live', include_body: true}}")
    read = settings(text + "functions: {f: {path: f, runtime: python3.11, handler: a.b.c}}\n").routes[0]
    assert read.viewer_protocol is ViewerProtocol.HTTPS_ONLY
    assert read.hooks == {Event.ORIGIN_REQUEST: HookSettings("f", "live", include_body=True)}


def test_every_option_of_a_function():
    options = (
        "path: /f.zip, runtime: python3.14, handler: src/app.handler, timeout: 250ms, memory: 1GB,"
        " environment: {KEY: '', GREETING: no}, concurrency: 2, provisioned: 2, idle_timeout: 1h,"
        " network: ['api.example.com:443']"
    )
    assert settings(MINIMAL + f"functions: {{f: {{{options}}}}}\n").functions["f"] == FunctionSettings(
        name="f",
        path="/f.zip",
        runtime="python3.14",
        handler="src/app.handler",
        timeout=0.25,
        memory=1024,
        environment={"KEY": "", "GREETING": "no"},
        concurrency=2,
        provisioned=2,
        idle_timeout=3600.0,
        network=("api.example.com:443",),
    )


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("config/*.yaml")), ids=lambda path: path.name)
def test_the_example_files_are_good(path):
    assert load(path.read_text(), filename=path.name, base="/etc/edgefn").routes[-1].path == "*"


def test_verify_names_each_missing_file():
    read = settings(
        MINIMAL.replace("9000}", "9000, tls: {ca: ca.pem}}").replace(
            "127.0.0.1:8080", "{address: a:1, certificates: [{certificate: c, key: k}]}"
        )
        + "geo_database: geo.mmdb\n"
        + "functions: {gone: {path: gone, runtime: nodejs20.x}, here: {path: here, runtime: python3.12},"
        " empty: {path: empty, runtime: nodejs20.x}, file: {path: f.mjs, runtime: nodejs20.x}}\n"
    )
    there = {"/srv/c", "/srv/here", "/srv/here/lambda_function.py", "/srv/empty", "/srv/f.mjs"}
    assert verify(read, there.__contains__) == (
        "listen[0].certificates: there is no file /srv/k; write the path of one",
        "origins.app.tls.ca: there is no file /srv/ca.pem; write the path of one",
        "functions.gone.path: there is no file /srv/gone; write the path of one",
        "geo_database: there is no file /srv/geo.mmdb; write the path of one",
        "functions.empty.handler: /srv/empty has no index.js or index.mjs or index.cjs; write the file that is there",
    )
    assert verify(settings(MINIMAL), lambda path: False) == ()


@pytest.mark.parametrize(
    ("profile", "event", "size", "told"),
    [
        ("aws-2025", "viewer-request", 50 << 20, ()),
        ("aws-2025", "viewer-request", (50 << 20) + 1, ("is larger than 50 MB, the most at viewer-request",)),
        ("aws-legacy", "viewer-request", 1 << 20, ()),
        ("aws-legacy", "viewer-request", (1 << 20) + 1, ("is larger than 1 MB, the most at viewer-request",)),
        ("aws-legacy", "origin-request", 50 << 20, ()),
        ("aws-legacy", "origin-request", (50 << 20) + 1, ("is larger than 50 MB, the most at origin-request",)),
    ],
)
def test_a_zip_is_measured_against_the_quota_of_its_hook(profile, event, size, told):
    read = settings(
        MINIMAL.replace("origin: app}", f"origin: app, hooks: {{{event}: zipped}}}}")
        + f"quotas: {profile}\nfunctions: {{zipped: {{path: f.zip, runtime: nodejs20.x}}}}\n"
    )

    problems = oversized(read, {"/srv/f.zip": size}.__getitem__)

    assert len(problems) == len(told)
    assert all(words in problem for words, problem in zip(told, problems, strict=True))
