"""Wrong files, and what is said about them: file, line, key, what is wrong, what would be right."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.configuration.loader import load
from edgefn.model.errors import SettingsError

RIGHT = """\
location: fra1
listen: 127.0.0.1:8080
origins:
  app: {url: http://127.0.0.1:9000}
  spare: {url: http://127.0.0.1:9001}
functions:
  slow: {path: f, runtime: nodejs20.x, timeout: 20s, memory: 256MB}
routes:
  - {path: /a, origin: app}
  - {path: "*", origin: app}
"""

COMPLETE = (Path(__file__).parents[2] / "config" / "complete.yaml").read_text()


def problems(text):
    with pytest.raises(SettingsError) as caught:
        load(text, filename="e.yaml", base="/srv")
    return list(caught.value.problems)


def test_the_file_that_the_wrong_ones_are_made_from_is_right():
    assert load(RIGHT, filename="e.yaml", base="/srv").location == "fra1"


def with_store(more):
    store = f"kvs: {{prices: ./prices.json}}\nfunctions:\n  price: {{path: f.js, {more}}}\n"
    return replaced("functions:\n", store)


def replaced(old, new):
    assert old in RIGHT
    return RIGHT.replace(old, new)


def in_app(more):
    return replaced("{url: http://127.0.0.1:9000}", f"{{url: http://127.0.0.1:9000, {more}}}")


def in_slow(more):
    return replaced("memory: 256MB}", f"memory: 256MB, {more}}}")


def in_last(more):
    return replaced('{path: "*", origin: app}', f'{{path: "*", origin: app, {more}}}')


GOLDEN = [
    (
        "a key-value store that is not declared",
        with_store("runtime: cloudfront-js-2.0, kvs: price"),
        'e.yaml:8: functions.price.kvs: there is no store "price"; did you mean prices?',
    ),
    (
        "a key-value store for a runtime that can't read it",
        with_store("runtime: nodejs22.x, kvs: prices"),
        (
            "e.yaml:8: functions.price.kvs: runtime nodejs22.x can't read key-value stores; take it out, or take"
            " cloudfront-js-2.0"
        ),
    ),
    (
        "a key-value store without a path",
        RIGHT + "kvs: {prices: {}}\n",
        "e.yaml:11: kvs.prices.path: is missing; write a path of a JSON file, or of a directory of them",
    ),
    (
        "an unknown key at the top",
        RIGHT + "drain_timout: 5s\n",
        "e.yaml:11: drain_timout: is not a setting; did you mean drain_timeout?",
    ),
    (
        "an unknown key in an origin",
        in_app("conect_timeout: 5s"),
        "e.yaml:4: origins.app.conect_timeout: is not a setting; did you mean connect_timeout or completion_timeout?",
    ),
    (
        "a key like no other",
        RIGHT + "cache: {zzz: 1}\n",
        "e.yaml:11: cache.zzz: is not a setting; there is memory, disk",
    ),
    (
        "a key that belongs deeper",
        in_last("default_ttl: 5s"),
        "e.yaml:10: routes[1].default_ttl: is not a setting; did you mean cache.default_ttl?",
    ),
    (
        "a key that belongs deeper, at one of two places",
        in_last("cookies: all"),
        "e.yaml:10: routes[1].cookies: is not a setting; did you mean cache.key.cookies or forward.cookies?",
    ),
    (
        "no location",
        replaced("location: fra1\n", ""),
        "e.yaml:1: location: is missing; write a name such as fra1",
    ),
    (
        "an empty value",
        replaced("location: fra1", "location:"),
        "e.yaml:1: location: is empty; write a name such as fra1",
    ),
    (
        "a list for a word",
        replaced("location: fra1", "location: [fra1]"),
        "e.yaml:1: location: can't be a list or a table; write a name such as fra1",
    ),
    (
        "a word for a table",
        RIGHT + "viewer: large\n",
        "e.yaml:11: viewer: must be a table with keys such as headers_size, headers_count, url_size, body_size",
    ),
    (
        "no port",
        replaced("127.0.0.1:8080", "127.0.0.1"),
        'e.yaml:2: listen: "127.0.0.1" is not an address; write host:port, such as 127.0.0.1:8080 or [::1]:8080',
    ),
    (
        "a port beyond ports",
        replaced("127.0.0.1:8080", "[a:70000]"),
        'e.yaml:2: listen[0]: "a:70000" is not an address; write host:port, such as 127.0.0.1:8080 or [::1]:8080',
    ),
    (
        "a certificate without its key",
        replaced("127.0.0.1:8080", "{address: a:1, certificates: [{certificate: c}]}"),
        "e.yaml:2: listen.certificates[0].key: is missing; write a path of a PEM file",
    ),
    (
        "one port for two",
        RIGHT + "admin: 127.0.0.1:8080\n",
        "e.yaml:11: admin: is an address of listen too; take another port",
    ),
    (
        "a duration without unit",
        in_app("connect_timeout: 5"),
        'e.yaml:4: origins.app.connect_timeout: "5" is not a duration; write one with its unit, as 5s',
    ),
    (
        "a duration too long",
        in_app("response_timeout: 1h"),
        'e.yaml:4: origins.app.response_timeout: "1h" does not fit; write a duration from 1ms to 2m',
    ),
    (
        "times that contradict",
        in_app("completion_timeout: 5s"),
        "e.yaml:4: origins.app.completion_timeout: is shorter than response_timeout; write at least as much",
    ),
    (
        "a size without unit",
        RIGHT + "cache:\n  memory: 256\n",
        'e.yaml:12: cache.memory: "256" is not a size; write one with its unit, as 256MB',
    ),
    (
        "memory in parts of MB",
        replaced("256MB", "129.5MB"),
        'e.yaml:7: functions.slow.memory: "129.5MB" does not fit; write a size from 128MB to 10GB, in whole MB',
    ),
    (
        "a number that is none",
        RIGHT + "workers: many\n",
        'e.yaml:11: workers: "many" does not fit; write a whole number from 1 to 256, or auto',
    ),
    (
        "a yes that is no truth value",
        in_app("tls: {verify: yes}"),
        'e.yaml:4: origins.app.tls.verify: "yes" does not fit; write true or false',
    ),
    (
        "a URL without scheme",
        replaced("http://127.0.0.1:9001", "127.0.0.1:9001"),
        (
            'e.yaml:5: origins.spare.url: "127.0.0.1:9001" is not a URL of an origin;'
            " write http://host:port/path or https://host/path"
        ),
    ),
    (
        "a URL with a password",
        replaced("http://127.0.0.1:9001", "http://u:p@h/"),
        (
            'e.yaml:5: origins.spare.url: "http://u:p@h/" has more than scheme, host, port and path;'
            " write http://host:port/path or https://host/path"
        ),
    ),
    (
        "a custom header that AWS denies",
        in_app("headers: {Host: x}"),
        'e.yaml:4: origins.app.headers: "Host" can\'t be a custom header; take it out',
    ),
    (
        "a header name with a blank",
        in_app("headers: {'X Y': x}"),
        'e.yaml:4: origins.app.headers.X Y: "X Y" can\'t be a key here; write a header name',
    ),
    (
        "too many custom headers",
        in_app(f"headers: {{{', '.join(f'X-{n}: v' for n in range(31))}}}"),
        "e.yaml:4: origins.app.headers: has 31 headers; write at most 30",
    ),
    (
        "an unknown member of a group",
        RIGHT + "origin_groups: {g: {members: [app, spear], failover: [503]}}\n",
        'e.yaml:11: origin_groups.g.members: there is no origin "spear"; did you mean spare?',
    ),
    (
        "a group of three",
        RIGHT + "origin_groups: {g: {members: [app, spare, app], failover: [503]}}\n",
        "e.yaml:11: origin_groups.g.members: has 3 members; write 2",
    ),
    (
        "a status that never fails over",
        RIGHT + "origin_groups: {g: {members: [app, spare], failover: [418]}}\n",
        (
            'e.yaml:11: origin_groups.g.failover[0]: "418" does not fit; write one of 400, 403, 404, 416, 429,'
            " 500, 502, 503, 504"
        ),
    ),
    (
        "a group with an origin's name",
        RIGHT + "origin_groups: {app: {members: [app, spare], failover: [503]}}\n",
        'e.yaml:11: origin_groups: "app" is the name of an origin too; take another one',
    ),
    (
        "a CloudFront Function at the origin's side",
        in_last("hooks: {origin-request: slow}").replace("nodejs20.x", "cloudfront-js-2.0"),
        (
            'e.yaml:10: routes[1].hooks.origin-request: the function "slow" is a CloudFront Function;'
            " write it at viewer-request or viewer-response"
        ),
    ),
    (
        "a runtime that nobody knows",
        replaced("nodejs20.x", "node20.x"),
        'e.yaml:7: functions.slow.runtime: the runtime "node20.x" is not known; did you mean nodejs20.x or nodejs24.x?',
    ),
    (
        "a handler outside of the bundle",
        in_slow("handler: ../x.handler"),
        'e.yaml:7: functions.slow.handler: "../x.handler" does not fit; write file.function, such as index.handler',
    ),
    (
        "a variable that the runtime sets",
        in_slow("environment: {AWS_REGION: x}"),
        'e.yaml:7: functions.slow.environment: "AWS_REGION" is set by the runtime; take another name',
    ),
    (
        "a variable's name with a dash",
        in_slow("environment: {A-B: x}"),
        "e.yaml:7: functions.slow.environment.A-B: \"A-B\" can't be a key here; write a variable's name",
    ),
    (
        "too much environment",
        in_slow(f"environment: {{BIG: {'x' * 4094}}}"),
        "e.yaml:7: functions.slow.environment: is 4097 bytes of names and values; write at most 4096",
    ),
    (
        "more provisioned than allowed",
        in_slow("provisioned: 101"),
        "e.yaml:7: functions.slow.provisioned: is more than concurrency; write at most as much",
    ),
    (
        "a mail port",
        in_slow("network: ['mx:25']"),
        'e.yaml:7: functions.slow.network: "mx:25" is a mail port, which stays closed to functions; take it out',
    ),
    (
        "an unknown origin",
        replaced("{path: /a, origin: app}", "{path: /a, origin: ap}"),
        'e.yaml:9: routes[0].origin: there is no origin "ap"; did you mean app?',
    ),
    (
        "an unknown function",
        in_last("hooks: {viewer-request: slwo}"),
        'e.yaml:10: routes[1].hooks.viewer-request: there is no function "slwo"; did you mean slow?',
    ),
    (
        "an unknown event",
        in_last("hooks: {viewer_request: slow}"),
        "e.yaml:10: routes[1].hooks.viewer_request: is not a setting; did you mean viewer-request or viewer-response?",
    ),
    (
        "a body where there is none",
        in_last("hooks: {viewer-response: {function: slow, include_body: true}}"),
        "e.yaml:10: routes[1].hooks.viewer-response.include_body: viewer-response has no body to include; take it out",
    ),
    (
        "no route for the rest",
        replaced('  - {path: "*", origin: app}\n', ""),
        'e.yaml:9: routes: there is no route for all other paths; add one with path: "*" at the end',
    ),
    (
        "a route behind the last",
        RIGHT + "  - {path: /b, origin: app}\n",
        "e.yaml:11: routes[2].path: no request gets here, since all fit the route before; move it up",
    ),
    (
        "a route twice",
        replaced('  - {path: "*"', '  - {path: a, origin: app}\n  - {path: "*"'),
        'e.yaml:10: routes[1].path: "a" is here twice and the first one wins; take one out',
    ),
    (
        "a path that is no pattern",
        replaced("path: /a,", "path: /ä,"),
        (
            'e.yaml:9: routes[0].path: "/ä" is not a path pattern; write one such as /images/*.jpg,'
            " other characters percent-encoded"
        ),
    ),
    (
        "TTLs out of order",
        in_last("cache: {min_ttl: 1h, default_ttl: 1m}"),
        "e.yaml:10: routes[1].cache.default_ttl: is less than min_ttl, 1h; write at least that",
    ),
    (
        "a time to keep what is not kept",
        in_last("cache: {policy: CachingDisabled, default_ttl: 1m}"),
        "e.yaml:10: routes[1].cache.max_ttl: is 0s; write at least 1m",
    ),
    (
        "an unknown policy",
        in_last("cache: {policy: CachingOptimised}"),
        (
            'e.yaml:10: routes[1].cache.policy: "CachingOptimised" is no managed cache policy;'
            " did you mean CachingOptimized or CachingDisabled?"
        ),
    ),
    (
        "cookies in the wrong place",
        in_last("cache: {key: {headers: [Cookie]}}"),
        'e.yaml:10: routes[1].cache.key.headers: "cookie" can\'t be in the key; name cookies under cookies',
    ),
    (
        "all headers in the key",
        in_last("cache: {key: {headers: all}}"),
        (
            "e.yaml:10: routes[1].cache.key.headers: can't be all headers, or no two viewers would share;"
            " write a list of header names, or none"
        ),
    ),
    (
        "a selection that is none",
        in_last("forward: {cookies: some}"),
        (
            'e.yaml:10: routes[1].forward.cookies: "some" is no selection; write all, none, a list of names,'
            " or {except: [names]}"
        ),
    ),
    (
        "a header that is not there yet",
        in_last("forward: {add: [CloudFront-Viewer-JA3-Fingerprint]}"),
        (
            'e.yaml:10: routes[1].forward.add[0]: "CloudFront-Viewer-JA3-Fingerprint" is not available in this version'
            " of edgefn; take it out"
        ),
    ),
    (
        "a header that can't be added",
        in_last("forward: {add: [CloudFront-Viewer-Contry]}"),
        (
            'e.yaml:10: routes[1].forward.add[0]: "CloudFront-Viewer-Contry" is not a header that can be added; did you'
            " mean CloudFront-Viewer-Country or CloudFront-Viewer-City?"
        ),
    ),
    (
        "a protocol that is none",
        in_last("viewer_protocol: https"),
        'e.yaml:10: routes[1].viewer_protocol: "https" is not known; did you mean https-only?',
    ),
    (
        "an error page for a success",
        RIGHT + "error_pages: {200: /x}\n",
        (
            'e.yaml:11: error_pages.200: "200" can\'t be a key here; write one of the statuses 400, 403, 404, 405, 414,'
            " 416, 500, 501, 502, 503, 504"
        ),
    ),
    (
        "a root object with a slash",
        RIGHT + "default_root_object: /index.html\n",
        (
            'e.yaml:11: default_root_object: "/index.html" does not fit; write a path such as index.html,'
            " without a slash in front"
        ),
    ),
    ("a file that is no table", "- a\n", "e.yaml:1: the file must be a table with keys such as"),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in GOLDEN], ids=[case[0] for case in GOLDEN])
def test_a_wrong_file_is_answered_with_its_problem(text, said):
    (only,) = problems(text)
    assert only == said or (said.endswith("such as") and only.startswith(said))


def test_the_older_quotas_are_held_at_viewer_events_only():
    text = in_last("hooks: {viewer-request: slow, origin-request: slow}") + "quotas: aws-legacy\n"
    at = "e.yaml:10: routes[1].hooks.viewer-request"
    assert problems(text) == [
        f'{at}: the function "slow" has a timeout of 20s; at viewer-request the most is 5s',
        f'{at}: the function "slow" has 256MB of memory; at viewer-request the most is 128MB',
    ]


def test_no_hook_may_take_longer_than_its_event_allows():
    text = in_last("hooks: {origin-response: slow}").replace("timeout: 20s", "timeout: 31s")
    assert problems(text) == [
        (
            "e.yaml:10: routes[1].hooks.origin-response: "
            'the function "slow" has a timeout of 31s; at origin-response the most is 30s'
        )
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_lines():
    text = """\
listen: nowhere
origins:
  app: {url: ftp://x, tsl: {}}
routes:
  - {path: "*", origin: apq, hooks: {viewer-request: ghost}}
workers: 0
"""
    assert problems(text) == [
        "e.yaml:1: location: is missing; write a name such as fra1",
        'e.yaml:1: listen: "nowhere" is not an address; write host:port, such as 127.0.0.1:8080 or [::1]:8080',
        "e.yaml:3: origins.app.tsl: is not a setting; did you mean tls?",
        (
            'e.yaml:3: origins.app.url: "ftp://x" is not a URL of an origin; write http://host:port/path or'
            " https://host/path"
        ),
        'e.yaml:5: routes[0].origin: there is no origin "apq"; did you mean app?',
        'e.yaml:5: routes[0].hooks.viewer-request: there is no function "ghost"; none is declared',
        'e.yaml:6: workers: "0" does not fit; write a whole number from 1 to 256, or auto',
    ]


VALUES = st.sampled_from(
    ["", "~", "x", "0", "-1", "5s", "all", "[]", "{}", "[x]", "{a: b}", "[[]]", "'", "*a", "\x00", "é"]
)


@given(st.integers(0, len(COMPLETE.splitlines()) - 1), VALUES, st.booleans())
def test_whatever_is_wrong_is_told_and_never_breaks_the_reader(position, value, cut):
    lines = COMPLETE.splitlines()
    key, colon, _ = lines[position].partition(":")
    lines[position] = f"{key}{colon} {value}"
    text = "\n".join(lines[: position + 1] if cut else lines)
    told = () if is_right(text) else problems(text)
    assert all(re.match(r"e\.yaml:\d+: .+", problem) for problem in told)


def is_right(text):
    try:
        return load(text, filename="e.yaml", base="/srv").routes != ()
    except SettingsError:
        return False
