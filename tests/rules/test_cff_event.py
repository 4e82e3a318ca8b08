"""The events of CloudFront Functions: headers, cookies and query parameters, alone and repeated."""

import pytest

from edgefn.rules.cff_event import EdgeLocation, request_event
from tests.rules.cff_given import asked, shown_request, shown_response
from tests.rules.contract_given import CONFIG, VR, given_response


def test_a_request_is_shown_whole() -> None:
    event = shown_request(asked(("Accept", "a"), ("accept", "b"), ("Cookie", "c=1"), path="/x", query="q=1"))
    assert event == {
        "version": "1.0",
        "context": {
            "distributionDomainName": "d111111abcdef8.cloudfront.net",
            "distributionId": "EDFDVBD6EXAMPLE",
            "eventType": "viewer-request",
            "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        },
        "viewer": {"ip": "192.0.2.1"},
        "request": {
            "method": "GET",
            "uri": "/x",
            "querystring": {"q": {"value": "1"}},
            "headers": {
                "host": {"value": "example.com"},
                "accept": {"value": "a", "multiValue": [{"value": "a"}, {"value": "b"}]},
            },
            "cookies": {"c": {"value": "1"}},
        },
        "edge": {"rawQuery": "q=1"},
    }


def test_a_response_is_shown_beside_its_request() -> None:
    sent = given_response(
        ("X-A", "1"), ("Set-Cookie", "id=7; Path=/; Secure"), ("Set-Cookie", "id=8"), status=404, reason="No"
    )
    event = shown_response(sent)
    assert event["context"]["eventType"] == "viewer-response"
    assert event["request"]["uri"] == "/a"
    assert event["response"] == {
        "statusCode": 404,
        "statusDescription": "No",
        "headers": {"x-a": {"value": "1"}},
        "cookies": {
            "id": {
                "value": "7",
                "attributes": "Path=/; Secure",
                "multiValue": [{"value": "7", "attributes": "Path=/; Secure"}, {"value": "8"}],
            }
        },
    }


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (None, {}),
        ("", {}),
        (
            "ID=42&NoValue=&q=v1&q=v2,v3",
            {
                "ID": {"value": "42"},
                "NoValue": {"value": ""},
                "q": {"value": "v1", "multiValue": [{"value": "v1"}, {"value": "v2,v3"}]},
            },
        ),
        ("a&&b=%20+", {"a": {"value": ""}, "b": {"value": "%20+"}}),
        ("a=b=c", {"a": {"value": "b=c"}}),
    ],
)
def test_the_query_is_shown_by_name_and_not_decoded(query: str | None, shown: object) -> None:
    event = shown_request(asked(query=query))
    assert event["request"]["querystring"] == shown
    assert event["edge"]["rawQuery"] == query


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ((), {}),
        (("a=1; b=2",), {"a": {"value": "1"}, "b": {"value": "2"}}),
        (("a=1", "a=2; b"), {"a": {"value": "1", "multiValue": [{"value": "1"}, {"value": "2"}]}, "b": {"value": ""}}),
        (("a=x=y;;",), {"a": {"value": "x=y"}}),
    ],
)
def test_cookies_are_shown_by_name(lines: tuple[str, ...], shown: object) -> None:
    event = shown_request(asked(*(("Cookie", line) for line in lines)))
    assert event["request"]["cookies"] == shown
    assert "cookie" not in event["request"]["headers"]


def test_hidden_headers_are_not_shown() -> None:
    event = shown_request(asked(("Connection", "x"), ("X-Amz-Cf-Id", "y"), ("X-Edge-A", "z")))
    assert event["request"]["headers"] == {"host": {"value": "example.com"}}


def test_text_beyond_ascii_is_read_as_utf_8() -> None:
    assert shown_request(asked(("X", "caf\u00c3\u00a9")))["request"]["headers"]["x"] == {"value": "caf\u00e9"}


def test_the_place_of_the_edge_is_told_beside_the_event() -> None:
    event = request_event(VR, CONFIG, asked(), None, EdgeLocation("FRA", "192.0.2.9", "eu-central-1"))
    assert b'"location":{"name":"FRA","serverIp":"192.0.2.9","region":"eu-central-1"}' in event
