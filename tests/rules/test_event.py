"""Functions get events of AWS's shape, field by field."""

from dataclasses import replace

import orjson
import pytest

from edgefn.model.headers import Headers
from edgefn.model.hook import Event
from edgefn.rules.edge_headers import HIDDEN
from edgefn.rules.event import ExposedBody, as_text, as_wire, request_event, response_event
from tests.rules.contract_given import BUCKET, CONFIG, CUSTOM, OQ, OR, VR, VS, bound, given_request, given_response


def shown(event, request, body=None):
    document = orjson.loads(request_event(event, CONFIG, request, body))
    assert [list(record) for record in document["Records"]] == [["cf"]]
    return document["Records"][0]["cf"]


def shown_with_response(event, request, response):
    document = orjson.loads(response_event(event, CONFIG, request, response))
    assert len(document["Records"]) == 1
    return document["Records"][0]["cf"]


@pytest.mark.parametrize("event", Event)
def test_every_event_says_where_when_and_for_which_request_it_runs(event):
    request, response = given_request(), given_response()
    cf = shown(event, request) if event.is_request else shown_with_response(event, request, response)
    assert cf["config"] == {
        "distributionDomainName": "d111111abcdef8.cloudfront.net",
        "distributionId": "EDFDVBD6EXAMPLE",
        "eventType": event.value,
        "requestId": request.id,
    }
    assert ("response" in cf) is not event.is_request


def test_viewer_request_shows_exactly_the_viewers_request():
    cf = shown(VR, bound(given_request(("HOST", "example.com"), ("Cookie", "a=1"), ("cookie", "b=2"), path="/a%20b")))
    assert cf["request"] == {
        "clientIp": "192.0.2.1",
        "headers": {
            "host": [{"key": "HOST", "value": "example.com"}],
            "cookie": [{"key": "Cookie", "value": "a=1"}, {"key": "cookie", "value": "b=2"}],
        },
        "method": "GET",
        "querystring": "",
        "uri": "/a%20b",
    }


def test_origin_request_shows_a_custom_origin_too():
    cf = shown(OQ, bound(given_request(query="b=2&a=1")))
    assert cf["request"]["querystring"] == "b=2&a=1"
    assert cf["request"]["origin"] == {
        "custom": {
            "customHeaders": {"x-secret": [{"key": "X-Secret", "value": "s3cret"}]},
            "domainName": "127.0.0.1",
            "keepaliveTimeout": 5,
            "path": "",
            "port": 9000,
            "protocol": "http",
            "readTimeout": 30,
            "sslProtocols": ["TLSv1.2"],
        }
    }


def test_origin_request_shows_a_bucket():
    cf = shown(OQ, bound(given_request(), BUCKET))
    assert cf["request"]["origin"] == {
        "s3": {
            "authMethod": "origin-access-identity",
            "customHeaders": {},
            "domainName": "files.s3.amazonaws.com",
            "path": "",
            "readTimeout": 30,
            "region": "eu-central-1",
        }
    }


@pytest.mark.parametrize(("origin", "kind"), [(CUSTOM, "custom"), (BUCKET, "s3")])
def test_a_completion_timeout_is_shown_when_there_is_one(origin, kind):
    cf = shown(OQ, bound(given_request(), replace(origin, completion_timeout=45.0)))
    assert cf["request"]["origin"][kind]["responseCompletionTimeout"] == 45


def test_whole_seconds_are_shown_without_a_decimal_point_and_others_with_it():
    document = request_event(OQ, CONFIG, bound(given_request(), replace(CUSTOM, response_timeout=0.25)), None)
    assert b'"readTimeout":0.25' in document
    assert b'"keepaliveTimeout":5,' in document


def test_origin_response_shows_the_origin_and_viewer_response_does_not():
    request, response = bound(given_request()), given_response()
    assert "custom" in shown_with_response(OR, request, response)["request"]["origin"]
    assert "origin" not in shown_with_response(VS, request, response)["request"]


@pytest.mark.parametrize("event", [OR, VS])
def test_a_response_has_its_status_as_a_string_and_no_body(event):
    response = given_response(("Set-Cookie", "a"), ("set-cookie", "b"), status=404, reason="Not Found")
    cf = shown_with_response(event, bound(given_request()), response)
    assert cf["response"] == {
        "headers": {"set-cookie": [{"key": "Set-Cookie", "value": "a"}, {"key": "set-cookie", "value": "b"}]},
        "status": "404",
        "statusDescription": "Not Found",
    }
    assert "body" not in cf["request"]


@pytest.mark.parametrize("name", [*sorted(HIDDEN), "x-amz-cf-id", "x-amz-cf-pop", "x-edge-location"])
def test_hidden_headers_are_in_no_event(name):
    request = bound(given_request((name.upper(), "1"), ("Accept", "*/*")))
    response = given_response((name.title(), "1"), ("Accept", "*/*"))
    assert list(shown(VR, request)["request"]["headers"]) == ["accept"]
    for event in (OR, VS):
        cf = shown_with_response(event, request, response)
        assert list(cf["request"]["headers"]) == list(cf["response"]["headers"]) == ["accept"]


def test_headers_that_only_resemble_a_hidden_one_are_shown():
    names = ["x-amz-c", "x-edge", "x-cache-key", "x-amz-meta-a", "forwarded"]
    assert list(shown(VR, given_request(*((name, "1") for name in names)))["request"]["headers"]) == names


@pytest.mark.parametrize("event", [VR, OQ])
def test_a_body_is_described_and_its_data_left_to_the_sandbox(event):
    body = ExposedBody(b"hello", truncated=True)
    assert shown(event, bound(given_request()), body)["request"]["body"] == {
        "inputTruncated": True,
        "action": "read-only",
        "encoding": "base64",
        "data": "",
    }
    assert "body" not in shown(event, bound(given_request()))["request"]


@pytest.mark.parametrize(
    ("wire", "text"), [("abc", "abc"), ("\xc3\xa9", "é"), ("\xe9", "é"), ("\xff\xfe", "ÿþ"), ("", "")]
)
def test_functions_read_utf_8_and_what_is_not_utf_8_as_latin_1(wire, text):
    assert as_text(wire) == text
    cf = shown(VR, given_request(("X", wire), path="/" + wire, query=wire))
    assert cf["request"]["headers"]["x"][0]["value"] == text
    assert (cf["request"]["uri"], cf["request"]["querystring"]) == ("/" + text, text)
    response = given_response(reason=wire)
    assert shown_with_response(VS, given_request(), response)["response"]["statusDescription"] == text


def test_new_text_goes_out_as_utf_8():
    assert as_wire("é€").encode("latin-1") == "é€".encode()


def test_a_message_without_headers_shows_an_empty_object():
    assert shown(VR, replace(given_request(), headers=Headers()))["request"]["headers"] == {}
