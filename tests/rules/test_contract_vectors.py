"""The conformance vectors for the four events, as far as the contract alone decides them."""

import base64
from dataclasses import replace

import pytest

from edgefn.model.message import BytesBody
from edgefn.model.settings import QuotaProfile
from edgefn.rules.event import ExposedBody
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import (
    OQ,
    OR,
    VR,
    answered,
    bound,
    changing,
    given_request,
    given_response,
    lines_of,
    refused,
    run_on_request,
    run_on_response,
    setting,
    taken,
    with_header,
)


def test_a_viewer_request_function_redirects():
    redirect = {
        "status": "302",
        "statusDescription": "Found",
        "headers": {"location": [{"key": "Location", "value": "/x"}]},
    }
    response = answered(run_on_request(VR, given_request(), lambda _: redirect))
    assert (response.status, response.reason) == (302, "Found")
    assert lines_of(response) == (("Location", "/x"), ("Content-Length", "0"))


@pytest.mark.parametrize(
    "function",
    [
        with_header("request", "host"),
        with_header("request", "via", "1.1 me"),
        with_header("request", "connection", "close"),
    ],
)
def test_a_viewer_request_function_touches_what_it_may_not(function):
    assert refused(run_on_request(VR, given_request(), function)).sentence.startswith(
        "The Lambda function result failed validation: "
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda _: None,
        lambda _: {},
        lambda cf: {"Records": [{"cf": cf}]},
        lambda _: {"status": "302", "headers": {"location": "/x"}},
        lambda _: {"status": "302", "headers": {"location": {"key": "Location", "value": "/x"}}},
        changing("request", lambda shown: shown["headers"].update({"location": {"key": "Location", "value": "/x"}})),
    ],
)
def test_a_viewer_request_function_returns_the_wrong_shape(function):
    assert refused(run_on_request(VR, given_request(), function)).rule


def replacing_body(encoding, data):
    return changing("request", lambda shown: shown["body"].update(action="replace", encoding=encoding, data=data))


def test_an_origin_request_function_replaces_a_body_of_a_megabyte():
    sent, shown = bound(given_request(method="POST")), ExposedBody(b"", truncated=False)
    one_more = replacing_body("text", "x" * (1024**2 + 1))
    assert refused(run_on_request(OQ, sent, one_more, shown)).field == "body.data"
    exact = replacing_body("base64", base64.b64encode(bytes(1024**2)).decode())
    assert taken(run_on_request(OQ, sent, exact, shown)).body.length == 1024**2


def test_a_viewer_request_function_sees_40_kb_and_the_origin_gets_50():
    whole = b"x" * 50 * 1024
    sent = given_request(method="POST", body=BytesBody(whole))
    shown = ExposedBody(whole[: quotas(QuotaProfile.AWS_2025, VR).body_exposed], truncated=True)
    assert len(shown.data) == 40 * 1024
    outcome = taken(run_on_request(VR, sent, lambda cf: cf["request"], shown))
    assert outcome.body.buffered() == whole


def test_an_origin_response_function_turns_a_404_into_a_200():
    sent = replace(given_response(status=404, reason="Not Found"), from_origin_error=True)
    response = answered(run_on_response(OR, sent, setting("response", status="200", body="ok")))
    assert (response.status, response.body.buffered(), response.from_origin_error) == (200, b"ok", True)
