"""What CloudFront Functions may make of requests and responses."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.model.settings import QuotaProfile
from edgefn.rules.cff_contract import judge_request, judge_response
from edgefn.rules.quotas import quotas
from tests.rules.cff_given import asked, changing, on_request, on_response
from tests.rules.contract_given import VR, VS, answered, given_request, given_response, lines_of, refused, taken

READ_ONLY = "The CloudFront function tried to add, delete, or change a read-only header."
INVALID = "The CloudFront function returned an invalid value"


def judge(result: bytes) -> Request | Response | object:
    return judge_request(VR, asked(), None, result, quotas(QuotaProfile.AWS_2025, VR))


# ------------------------------------------------------------------------------------------ lossless

VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=8)
NAMES = st.sampled_from(["X-a", "x-A", "Accept", "Cookie", "COOKIE", "X-B", "Via", "Connection", "x-cache"])
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=8)
QUERIES = st.none() | st.text("ab=&%+;,2\u00e9", max_size=12)


@given(LINES, QUERIES)
def test_a_request_that_comes_back_is_the_one_that_was_sent(lines: list[tuple[str, str]], query: str | None) -> None:
    sent = asked(*lines, query=query)
    assert on_request(sent, lambda event: event["request"]) is sent


@given(st.lists(st.tuples(st.sampled_from(["Set-Cookie", "set-cookie", "X-a", "Warning", "Age"]), VALUES), max_size=8))
def test_a_response_that_comes_back_is_the_one_that_was_sent(lines: list[tuple[str, str]]) -> None:
    sent = given_response(("Content-Type", "text/plain"), *lines)
    assert on_response(sent, lambda event: event["response"]) is sent


@given(LINES)
def test_one_new_header_leaves_all_others_alone(lines: list[tuple[str, str]]) -> None:
    sent = asked(*lines)
    changed = taken(
        on_request(sent, changing("request", lambda shown: shown["headers"].update({"x-new": {"value": "1"}})))
    )
    assert lines_of(changed) == (*lines_of(sent), ("X-New", "1"))


# ------------------------------------------------------------------------------------------ what it may be


@pytest.mark.parametrize("result", [b"null", b"{}", b"[]", b'"x"', b"1", b"true", b"", b"{", b"\xff", b"[" * 5000])
def test_what_is_neither_request_nor_response_is_refused(result: bytes) -> None:
    assert refused(judge(result)).sentence == f"{INVALID}: it is neither a request nor a response object."
    limits = quotas(QuotaProfile.AWS_2025, VS)
    assert refused(judge_response(VS, asked(), given_response(), result, limits)).field == "result"


def test_the_whole_event_is_refused() -> None:
    assert refused(on_request(asked(), lambda event: event)).rule == "the function returned the whole event"
    assert refused(on_response(given_response(), lambda event: event)).rule == "the function returned the whole event"


def test_the_method_is_not_the_functions_to_change() -> None:
    sent = asked()
    assert on_request(sent, changing("request", lambda shown: shown.update(method="POST"))) is sent


# ------------------------------------------------------------------------------------------ uri and querystring


def test_the_uri_may_change() -> None:
    assert (
        taken(on_request(asked(query="q"), changing("request", lambda shown: shown.update(uri="/b%20c")))).target
        == "/b%20c?q"
    )


@pytest.mark.parametrize("uri", ["", "b", "/a b", "/a?b", "/a#b", "/\n", None, 1, "/" + "x" * 9000])
def test_a_uri_that_is_none_is_refused(uri: object) -> None:
    violation = refused(on_request(asked(), changing("request", lambda shown: shown.update(uri=uri))))
    assert (violation.field, violation.sentence) == ("uri", f"{INVALID} in uri.")


@pytest.mark.parametrize(
    ("change", "query"),
    [
        (lambda q: q["a"].update(value="9"), "a=9&a=2&b&c=3"),
        (lambda q: q.pop("b"), "a=1&a=2&c=3"),
        (lambda q: q.pop("a"), "b&c=3"),
        (lambda q: q.update(d={"value": "4"}), "a=1&b&a=2&c=3&d=4"),
        (lambda q: q.update(d={"value": "x y&z#\u00e9%41"}), "a=1&b&a=2&c=3&d=x%20y%26z%23%C3%A9%41"),
        (lambda q: q["a"].update(multiValue=[{"value": "2"}]), "a=2&b&c=3"),
        (lambda q: q["a"].update(value="9", multiValue=[{"value": "8"}, {"value": "7"}]), "a=8&a=7&b&c=3"),
        (lambda q: (q["a"].pop("multiValue"), q["a"].update(value="5")), "a=5&b&c=3"),
        (lambda q: q["c"].update(multiValue=[{"value": "3"}, {"value": "4"}]), "a=1&b&a=2&c=3&c=4"),
        (lambda q: q.clear(), None),
    ],
)
def test_query_parameters_change_by_name(change: object, query: str | None) -> None:
    sent = asked(query="a=1&b&a=2&c=3")
    request = taken(on_request(sent, changing("request", lambda shown: change(shown["querystring"]))))  # type: ignore[operator]
    assert request.query == query


@pytest.mark.parametrize(("raw", "query"), [("b=2&a=1", "b=2&a=1"), ("", None), ("a=\u00e9", "a=\u00c3\u00a9")])
def test_the_query_may_be_raw_text(raw: str, query: str | None) -> None:
    request = taken(on_request(asked(query="a=1"), changing("request", lambda shown: shown.update(querystring=raw))))
    assert request.query == query


@pytest.mark.parametrize(
    "raw", ["a b", "a#", "a\n", 1, [], {"a": "1"}, {"a": {"value": 1}}, {"a": {"multiValue": 1, "value": ""}}]
)
def test_a_query_that_is_none_is_refused(raw: object) -> None:
    violation = refused(on_request(asked(), changing("request", lambda shown: shown.update(querystring=raw))))
    assert violation.sentence == f"{INVALID} in querystring."


# ------------------------------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda h: h["x-a"].update(value="9"), [("X-A", "9"), ("X-A", "2"), ("x-b", "3")]),
        (
            lambda h: h["x-a"].update(multiValue=[{"value": "2"}, {"value": "5"}]),
            [("X-A", "2"), ("X-A", "5"), ("x-b", "3")],
        ),
        (lambda h: h["x-a"].update(multiValue=[]), [("x-b", "3")]),
        (lambda h: h.pop("x-a"), [("x-b", "3")]),
        (
            lambda h: h.update({"x-new-one": {"value": " v "}}),
            [("X-a", "1"), ("x-b", "3"), ("X-A", "2"), ("X-New-One", "v")],
        ),
        (lambda h: h.update({"x-b": {"value": "\u00e9"}}), [("X-a", "1"), ("X-B", "\u00c3\u00a9"), ("X-A", "2")]),
    ],
)
def test_headers_change_by_name(change: object, lines: list[tuple[str, str]]) -> None:
    sent = asked(("X-a", "1"), ("x-b", "3"), ("X-A", "2"))
    request = taken(on_request(sent, changing("request", lambda shown: change(shown["headers"]))))  # type: ignore[operator]
    assert lines_of(request) == (("Host", "example.com"), *lines)


@pytest.mark.parametrize("name", ["host", "via", "content-length", "cdn-loop", "transfer-encoding"])
def test_read_only_headers_of_a_request_stay(name: str) -> None:
    sent = given_request(
        ("Host", "a"), ("Via", "b"), ("Content-Length", "0"), ("CDN-Loop", "c"), ("Transfer-Encoding", "d")
    )
    for change in (lambda h: h.pop(name), lambda h: h.update({name: {"value": "other"}})):
        violation = refused(
            on_request(sent, changing("request", lambda shown, change=change: change(shown["headers"])))
        )
        assert (violation.field, violation.sentence) == (f"headers.{name}", READ_ONLY)


@pytest.mark.parametrize("name", ["via", "warning"])
def test_read_only_headers_of_a_response_stay(name: str) -> None:
    sent = given_response(("Via", "b"), ("Warning", "w"))
    violation = refused(on_response(sent, lambda _event: {"statusCode": 200, "headers": {}}))
    assert violation.sentence == READ_ONLY
    added = refused(
        on_response(
            given_response(), changing("response", lambda shown: shown["headers"].update({name: {"value": "x"}}))
        )
    )
    assert added.rule == "the function tried to add a read-only header"


@pytest.mark.parametrize("name", ["connection", "x-amz-cf-id", "x-edge-a", "x-cache", "cloudfront-viewer-country"])
def test_disallowed_headers_are_not_added(name: str) -> None:
    violation = refused(
        on_request(asked(), changing("request", lambda shown: shown["headers"].update({name: {"value": "x"}})))
    )
    assert violation.sentence == READ_ONLY


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Upper": {"value": "1"}},
        {"a b": {"value": "1"}},
        {"": {"value": "1"}},
        {"x": "1"},
        {"x": [{"value": "1"}]},
        {"x": {"value": 1}},
        {"x": {}},
        {"x": {"value": "a\r\nb: c"}},
        {"x": {"value": "\0"}},
        {"cookie": {"value": "a=1"}},
        {"x": {"value": "a", "multiValue": [1]}},
    ],
)
def test_headers_of_the_wrong_shape_are_refused(headers: dict[str, object]) -> None:
    violation = refused(on_request(asked(), changing("request", lambda shown: shown["headers"].update(headers))))
    assert violation.sentence == f"{INVALID} in headers."


@pytest.mark.parametrize("headers", [None, [], "x", 1])
def test_headers_that_are_no_object_are_refused(headers: object) -> None:
    violation = refused(on_request(asked(), changing("request", lambda shown: shown.update(headers=headers))))
    assert violation.field == "headers"


# ------------------------------------------------------------------------------------------ cookies


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: c["a"].update(value="9"), "a=9; b=2"),
        (lambda c: c.pop("a"), "b=2"),
        (lambda c: c.update(n={"value": "x"}), "a=1; b=2; n=x"),
        (lambda c: c.update(n={"value": "x", "multiValue": [{"value": "x"}, {"value": "y"}]}), "a=1; b=2; n=x; n=y"),
        (lambda c: c.clear(), None),
    ],
)
def test_cookies_of_a_request_change_by_name(change: object, line: str | None) -> None:
    sent = asked(("Cookie", "a=1;  b=2"), ("X", "y"))
    request = taken(on_request(sent, changing("request", lambda shown: change(shown["cookies"]))))  # type: ignore[operator]
    assert request.headers.get("cookie") == line
    assert request.headers.get("x") == "y"


def test_cookies_of_a_response_change_by_name() -> None:
    sent = given_response(("Set-Cookie", "a=1;Path=/ ;  Secure"), ("X", "y"), ("Set-Cookie", "b=2"))

    def change(shown: dict) -> None:
        shown["cookies"]["b"]["attributes"] = "HttpOnly"
        shown["cookies"]["c"] = {"value": "3", "attributes": "Max-Age=1"}

    response = answered(on_response(sent, changing("response", change)))
    assert response.headers.get_all("set-cookie") == ("a=1;Path=/ ;  Secure", "b=2; HttpOnly", "c=3; Max-Age=1")


@pytest.mark.parametrize(
    "cookies",
    [{"a": {"value": "1; b=2"}}, {"a=b": {"value": "1"}}, {"a": {"value": "\n"}}, {"a": "1"}, [], {"": {"value": "1"}}],
)
def test_cookies_that_are_none_are_refused(cookies: object) -> None:
    violation = refused(on_request(asked(), changing("request", lambda shown: shown.update(cookies=cookies))))
    assert violation.sentence == f"{INVALID} in cookies."


def test_attributes_can_not_smuggle_a_line() -> None:
    cookies = {"a": {"value": "1", "attributes": "Path=/\r\nX: y"}}
    violation = refused(
        on_response(given_response(), changing("response", lambda shown: shown.update(cookies=cookies)))
    )
    assert violation.field == "cookies.a"


# ------------------------------------------------------------------------------------------ made responses


def test_a_redirect_answers_at_the_door() -> None:
    result = {"statusCode": 302, "statusDescription": "Found", "headers": {"location": {"value": "/b"}}}
    response = answered(on_request(asked(), lambda _event: result))
    assert (response.status, response.reason) == (302, "Found")
    assert response.headers == Headers([("Location", "/b"), ("Content-Length", "0")])


def test_a_made_response_has_cookies_and_the_usual_description() -> None:
    cookies = {"id": {"value": "7", "attributes": "Path=/"}}
    response = answered(on_request(asked(), lambda _event: {"statusCode": 403, "cookies": cookies}))
    assert (response.reason, response.headers.get("set-cookie")) == ("Forbidden", "id=7; Path=/")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("h\u00e9", "h\u00e9".encode()),
        ({"encoding": "text", "data": "x"}, b"x"),
        ({"data": "x"}, b"x"),
        ({"encoding": "base64", "data": base64.b64encode(b"\0\xff").decode()}, b"\0\xff"),
        ("", b""),
    ],
)
def test_a_body_has_its_forms(body: object, data: bytes) -> None:
    response = answered(on_request(asked(), lambda _event: {"statusCode": 200, "body": body}))
    assert response.body.buffered() == data
    assert response.headers.get("content-length") == str(len(data))


@pytest.mark.parametrize(
    "body",
    [1, [], {}, {"data": 1}, {"data": "*", "encoding": "base64"}, {"data": "", "encoding": "gzip"}, "x" * 50_000],
)
def test_a_body_that_is_none_is_refused(body: object) -> None:
    violation = refused(on_request(asked(), lambda _event: {"statusCode": 200, "body": body}))
    assert violation.sentence == f"{INVALID} in body."


@pytest.mark.parametrize("status", ["302", 302.5, 199, 600, None, True, {}])
def test_a_status_that_is_none_is_refused(status: object) -> None:
    violation = refused(on_request(asked(), lambda _event: {"statusCode": status}))
    assert violation.sentence == f"{INVALID} in statusCode."


def test_a_description_can_not_smuggle_a_line() -> None:
    result = {"statusCode": 200, "statusDescription": "OK\r\nX: y"}
    assert refused(on_request(asked(), lambda _event: result)).field == "statusDescription"


@pytest.mark.parametrize("name", ["connection", "x-cache"])
def test_a_made_response_has_no_disallowed_headers(name: str) -> None:
    result = {"statusCode": 200, "headers": {name: {"value": "x"}}}
    assert refused(on_request(asked(), lambda _event: result)).sentence == READ_ONLY


def test_the_framing_of_a_made_response_is_ours() -> None:
    result = {"statusCode": 200, "headers": {"content-length": {"value": "99"}}, "body": "abc"}
    assert answered(on_request(asked(), lambda _event: result)).headers.get_all("content-length") == ("3",)


# ------------------------------------------------------------------------------------------ changed responses


def test_status_and_headers_of_a_response_may_change() -> None:
    def change(shown: dict) -> None:
        shown.update(statusCode=404, statusDescription="Gone astray")
        shown["headers"]["x-frame-options"] = {"value": "DENY"}

    response = answered(on_response(given_response(), changing("response", change)))
    assert (response.status, response.reason) == (404, "Gone astray")
    assert response.headers.get("x-frame-options") == "DENY"
    assert response.body.buffered() == b"original"


def test_a_new_status_without_description_gets_the_usual_one() -> None:
    def change(shown: dict) -> None:
        shown["statusCode"] = 410
        del shown["statusDescription"]

    assert answered(on_response(given_response(), changing("response", change))).reason == "Gone"


@pytest.mark.parametrize(
    ("body", "left"), [("new", b"new"), ("", b""), ({"encoding": "base64", "data": "AA=="}, b"\0")]
)
def test_the_body_of_a_response_may_change(body: object, left: bytes) -> None:
    sent = given_response(("Content-Length", "8"), ("Content-Type", "text/plain"))
    response = answered(on_response(sent, changing("response", lambda shown: shown.update(body=body))))
    assert response.body.buffered() == left
    assert response.headers.get_all("content-length") == (str(len(left)),)


def test_an_answer_to_head_gets_no_body() -> None:
    response = answered(
        on_response(given_response(), changing("response", lambda shown: shown.update(body="new")), method="HEAD")
    )
    assert response.body.buffered() == b""


def test_the_framing_of_a_response_is_ours() -> None:
    sent = given_response(("Content-Length", "8"))
    change = changing("response", lambda shown: shown["headers"].update({"content-length": {"value": "3"}}))
    assert answered(on_response(sent, change)).headers.get_all("content-length") == ("8",)


def test_a_status_without_body_takes_the_body_away() -> None:
    sent = given_response(("Content-Length", "8"))
    response = answered(
        on_response(
            sent, changing("response", lambda shown: shown.update(statusCode=204, statusDescription="No Content"))
        )
    )
    assert response.body.buffered() == b""
    assert "content-length" not in response.headers
