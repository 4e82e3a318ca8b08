"""What viewer-request and origin-request may make of a request: target, body, and what is not theirs."""

import base64

import orjson
import pytest

from edgefn.model.headers import Headers
from edgefn.model.message import BytesBody
from edgefn.model.settings import QuotaProfile
from edgefn.rules.contract import judge_request
from edgefn.rules.event import ExposedBody
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import (
    OQ,
    VR,
    bound,
    changing,
    given_request,
    lines_of,
    refused,
    run_on_request,
    setting,
    taken,
)

SHOWN = ExposedBody(b"", truncated=False)


def judge(event, result, sent=None):
    limits = quotas(QuotaProfile.AWS_2025, event)
    return judge_request(event, bound(given_request()) if sent is None else sent, None, result, limits)


@pytest.mark.parametrize("event", [VR, OQ])
@pytest.mark.parametrize("result", [b"null", b"{}", b"[]", b'"x"', b"1", b"true", b"", b"{", b"\xff", b"[" * 5000])
def test_what_is_neither_request_nor_response_is_refused(event, result):
    violation = refused(judge(event, result))
    assert violation.field == "result"
    assert violation.sentence.startswith("The Lambda function result failed validation: ")


@pytest.mark.parametrize("event", [VR, OQ])
def test_the_whole_event_is_refused(event):
    violation = refused(run_on_request(event, bound(given_request()), lambda cf: {"Records": [{"cf": cf}]}))
    assert violation.rule == "the function returned the whole event"


@pytest.mark.parametrize("event", [VR, OQ])
def test_uri_and_query_may_change(event):
    request = taken(run_on_request(event, bound(given_request()), setting("request", uri="/b%20c", querystring="x=1")))
    assert request.target == "/b%20c?x=1"


@pytest.mark.parametrize("sent", [None, ""])
def test_an_empty_query_leaves_the_question_mark_as_it_was(sent):
    request = taken(run_on_request(VR, given_request(query=sent), setting("request", uri="/b")))
    assert (request.path, request.query) == ("/b", sent)


def test_an_emptied_or_missing_query_takes_the_question_mark_with_it():
    for empty in (setting("request", querystring=""), changing("request", lambda shown: shown.pop("querystring"))):
        assert taken(run_on_request(VR, given_request(query="a=1"), empty)).target == "/a"


@pytest.mark.parametrize(
    "uri", ["", "a", "https://a.example/", "/a b", "/a\n", "/\0", "/a?b", "/a#b", "/\x7f", None, 1, []]
)
def test_a_bad_uri_is_refused(uri):
    violation = refused(run_on_request(VR, given_request(), setting("request", uri=uri)))
    assert violation.field == "uri"
    assert "invalid URI format" in violation.sentence


def test_a_missing_uri_is_refused():
    no_uri = changing("request", lambda shown: shown.pop("uri"))
    assert refused(run_on_request(VR, given_request(), no_uri)).field == "uri"


@pytest.mark.parametrize("query", ["a b", "a\r\n", "a#b", "\0", "\x7f", None, 1, {}])
def test_a_bad_query_is_refused(query):
    violation = refused(run_on_request(VR, given_request(), setting("request", querystring=query)))
    assert violation.field == "querystring"


def test_new_text_in_uri_and_query_goes_out_as_utf_8():
    request = taken(run_on_request(VR, given_request(), setting("request", uri="/é", querystring="é")))
    assert (request.path, request.query) == ("/\xc3\xa9", "\xc3\xa9")


def test_an_old_uri_keeps_its_bytes_when_the_query_changes_and_the_other_way_round():
    sent = given_request(path="/\xe9", query="\xe9")
    assert taken(run_on_request(VR, sent, setting("request", querystring="x"))).target == "/\xe9?x"
    assert taken(run_on_request(VR, sent, setting("request", uri="/x"))).target == "/x?\xe9"


@pytest.mark.parametrize("query", ["", "q" * 100])
def test_uri_and_query_together_are_less_than_8192(query):
    longest = "/" + "a" * (8191 - 1 - len(query))
    request = taken(run_on_request(VR, given_request(), setting("request", uri=longest, querystring=query)))
    assert len(request.path) + len(query) == 8191
    too_long = setting("request", uri=longest + "a", querystring=query)
    assert refused(run_on_request(VR, given_request(), too_long)).field == "uri"


def test_an_old_target_is_not_judged():
    sent = given_request(path="/" + "a" * 9000, query="a#b c")
    assert taken(run_on_request(VR, sent, lambda cf: cf["request"])).target == sent.target


def test_method_client_and_unknown_fields_are_not_the_functions_to_change():
    sent = given_request()
    change = setting("request", method="POST", clientIp="198.51.100.1", origin={"custom": {}}, color="red")
    request = taken(run_on_request(VR, sent, change))
    assert (request.method, request.viewer, request.origin) == ("GET", sent.viewer, None)


def body_set(**values):
    return changing("request", lambda shown: shown["body"].update(values))


@pytest.mark.parametrize("event", [VR, OQ])
def test_a_read_only_body_stays_the_original_whatever_the_function_does_to_its_data(event):
    original = BytesBody(b"x" * 50 * 1024)
    sent = bound(given_request(("Content-Length", "51200"), body=original))
    exposed = ExposedBody(b"x" * 40 * 1024, truncated=True)
    for change in (
        lambda cf: cf["request"],
        body_set(data="other", encoding="text"),
        body_set(action="read-only", data=1),
        changing("request", lambda shown: shown["body"].pop("action")),
        changing("request", lambda shown: shown.pop("body")),
        setting("request", body=None),
    ):
        request = taken(run_on_request(event, sent, change, exposed))
        assert request.body is original
        assert request.headers is sent.headers


@pytest.mark.parametrize(
    ("values", "data"),
    [
        ({"encoding": "text", "data": "grüß"}, "grüß".encode()),
        ({"encoding": "base64", "data": "AP8="}, b"\x00\xff"),
        ({"data": "AP8="}, b"\x00\xff"),
        ({"data": ""}, b""),
        ({"encoding": "text", "data": ""}, b""),
    ],
)
def test_a_replaced_body_brings_its_own_length(values, data):
    sent = given_request(("Content-Length", "3"), ("Trailer", "X"), ("Accept", "*/*"), body=BytesBody(b"abc"))
    request = taken(run_on_request(VR, sent, body_set(action="replace", **values), SHOWN))
    assert request.body.buffered() == data
    assert lines_of(request) == (("Content-Length", str(len(data))), ("Accept", "*/*"))


def test_a_replaced_body_is_no_longer_chunked():
    sent = given_request(("Transfer-Encoding", "chunked"), body=BytesBody(b"abc"))
    request = taken(run_on_request(OQ, bound(sent), body_set(action="replace", encoding="text", data="ab"), SHOWN))
    assert request.headers == Headers([("Content-Length", "2")])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"action": "write"}, "body.action"),
        ({"action": None}, "body.action"),
        ({"action": "replace", "encoding": "utf-8", "data": "x"}, "body.data"),
        ({"action": "replace", "encoding": None, "data": "x"}, "body.data"),
        ({"action": "replace", "data": None}, "body.data"),
        ({"action": "replace", "data": {"a": 1}}, "body.data"),
        ({"action": "replace", "data": "no base64!"}, "body.data"),
        ({"action": "replace", "data": "AP8"}, "body.data"),
        ({"action": "replace", "data": "AP\n8="}, "body.data"),
        ({"action": "replace", "data": "é"}, "body.data"),
        ({"action": "replace", "data": "AP8=AP8="}, "body.data"),
    ],
)
def test_a_malformed_body_is_refused_in_awss_words(values, field):
    violation = refused(run_on_request(VR, given_request(), body_set(**values), SHOWN))
    assert violation.field == field
    assert violation.sentence.endswith("The body is not a string, is not an object, or exceeds the maximum size.")


@pytest.mark.parametrize("body", ["text", 1, []])
def test_a_body_must_be_an_object(body):
    assert refused(run_on_request(VR, given_request(), setting("request", body=body), SHOWN)).field == "body"


def test_a_body_is_refused_where_none_was_included():
    change = setting("request", body={"action": "replace", "encoding": "text", "data": "x"})
    assert refused(run_on_request(VR, given_request(), change)).field == "body"


def replaced(event, encoding, data):
    return run_on_request(
        event, bound(given_request()), body_set(action="replace", encoding=encoding, data=data), SHOWN
    )


@pytest.mark.parametrize(("event", "limit"), [(VR, 40 * 1024), (OQ, 1024**2)])
def test_text_is_bounded_by_its_bytes(event, limit):
    assert taken(replaced(event, "text", "x" * limit)).body.length == limit
    assert taken(replaced(event, "text", "é" * (limit // 2))).body.length == limit
    assert refused(replaced(event, "text", "x" * (limit + 1))).rule.endswith("exceeds the maximum size")
    assert refused(replaced(event, "text", "é" * (limit // 2) + "x")).field == "body.data"


@pytest.mark.parametrize(("event", "limit"), [(VR, 40 * 1024), (OQ, 1024**2)])
def test_base64_is_bounded_by_its_text_so_that_a_full_raw_body_fits(event, limit):
    text = base64.b64encode(bytes(limit)).decode()
    assert taken(replaced(event, "base64", text)).body.length == limit
    longer = base64.b64encode(bytes(limit // 3 * 3 + 3 + 1)).decode()
    assert len(longer) == len(text) + 4
    assert refused(replaced(event, "base64", longer)).rule.endswith("exceeds the maximum size")


def test_the_body_of_the_limit_is_exactly_the_length_of_its_text():
    limits = quotas(QuotaProfile.AWS_2025, VR)
    over = "A" * (limits.body_base64 + 1)
    assert refused(replaced(VR, "base64", over)).rule.endswith("exceeds the maximum size")
    assert taken(replaced(VR, "base64", over[1:])).body.length == limits.body_base64 // 4 * 3


def test_numbers_beyond_64_bits_are_only_numbers():
    result = orjson.dumps({"uri": "/", "headers": {}, "status": 1e300}).replace(b"1e300", b"1" + b"0" * 400)
    assert refused(judge(VR, result)).field in {"status", "result"}
