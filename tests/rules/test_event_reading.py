"""A result is judged by its event's document alone as it would be by the message itself."""

from collections.abc import Callable

import orjson
import pytest

from edgefn.cli.samples import SAMPLES
from edgefn.model.hook import Event
from edgefn.rules.contract import Violation
from edgefn.rules.event import ExposedBody, request_event, response_event
from edgefn.rules.event_reading import refused
from tests.rules.contract_given import (
    BUCKET,
    CONFIG,
    CUSTOM,
    OQ,
    OR,
    VR,
    VS,
    Function,
    bound,
    given_request,
    given_response,
    run_on_request,
    run_on_response,
    setting,
    with_header,
)

ECHO: Function = lambda cf: cf.get("response", cf["request"])  # noqa: E731
NOTHING: Function = lambda cf: None  # noqa: E731
FRESH: Function = lambda cf: {"status": "200", "headers": {}}  # noqa: E731


def violations(event: Event, function: Function, part: str) -> tuple[object, object]:
    """Return what is wrong with a function's result by the message itself, and by the document alone."""
    if event in (VR, OQ):
        sent = given_request(("Host", "a"), ("Via", "1.0 b"), ("X-Latin", "\xe9"), query="q")
        sent = bound(sent, BUCKET if part == "bucket" else CUSTOM) if event is OQ else sent
        body = ExposedBody(b"abc", truncated=False)
        told: object = run_on_request(event, sent, function, body)
        document = request_event(event, CONFIG, sent, body)
    else:
        response = given_response(("Content-Length", "8"), ("Via", "1.0 b"), ("Set-Cookie", "a"), ("Set-Cookie", "b"))
        told = run_on_response(event, response, function)
        document = response_event(event, CONFIG, bound(given_request()), response)
    result = orjson.dumps(function(orjson.loads(document)["Records"][0]["cf"]))
    return told if isinstance(told, Violation) else None, refused(document, result)


@pytest.mark.parametrize("event", [VR, OQ, OR, VS])
@pytest.mark.parametrize(
    "made",
    [
        lambda part: ECHO,
        lambda part: NOTHING,
        lambda part: FRESH,
        lambda part: with_header(part, "via"),
        lambda part: with_header(part, "via", "1.0 c"),
        lambda part: with_header(part, "connection", "close"),
        lambda part: with_header(part, "x-new", "1", "2"),
        lambda part: with_header(part, "x-new", "a\r\nb"),
        lambda part: with_header(part, "content-length", "9"),
        lambda part: setting(part, headers={"a": "b"}),
        lambda part: setting(part, body=5),
        lambda part: setting(part, body="x" * 2_000_000, bodyEncoding="text", status="200"),
        lambda part: setting(part, status="99"),
        lambda part: setting(part, uri="/a b", querystring="#"),
        lambda part: setting(part, body={"action": "replace", "encoding": "base64", "data": "?"}),
        lambda part: setting(part, origin={}),
    ],
)
def test_the_document_alone_tells_the_same(event: Event, made: Callable[[str], Function]) -> None:
    by_message, by_document = violations(event, made("request" if event in (VR, OQ) else "response"), "")
    assert by_document == by_message


@pytest.mark.parametrize("change", [{"port": 81}, {"path": "a/"}, {"readTimeout": 0}, {"sslProtocols": []}])
@pytest.mark.parametrize("kind", ["custom", "s3"])
def test_origins_are_judged_too(kind: str, change: dict[str, object]) -> None:
    def function(cf: dict) -> object:
        shown = cf["request"]["origin"][kind]
        shown.update({name: value for name, value in change.items() if name in shown})
        return cf["request"]

    by_message, by_document = violations(OQ, function, "bucket" if kind == "s3" else "")
    assert by_document == by_message


LAMBDA_SAMPLES = [name for name in SAMPLES if not name.startswith("cloudfront-")]


@pytest.mark.parametrize("name", LAMBDA_SAMPLES)
def test_every_sample_can_be_judged(name: str) -> None:
    event = SAMPLES[name].event()
    cf = orjson.loads(event)["Records"][0]["cf"]
    assert refused(event, orjson.dumps(ECHO(cf))) is None
    violation = refused(event, b"null")
    assert violation is not None
    assert violation.field == "result"


def without(*path: str | int) -> bytes:
    """Return an event that lacks a part."""
    document = orjson.loads(SAMPLES["origin-request"].event())
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return orjson.dumps(document)


CF = ("Records", 0, "cf")


@pytest.mark.parametrize(
    "event",
    [
        b"{}",
        b"[1]",
        b'{"Records": []}',
        SAMPLES["cloudfront-viewer-request"].event(),
        without("Records"),
        without(*CF, "config"),
        without(*CF, "config", "eventType"),
        without(*CF, "request"),
        without(*CF, "request", "headers"),
        without(*CF, "request", "uri"),
        without(*CF, "request", "origin", "custom"),
        without(*CF, "request", "origin", "custom", "domainName"),
        SAMPLES["origin-request"].event().replace(b'"via"', b'"Via"'),
        SAMPLES["origin-request"].event().replace(b'"via"', b'"connection"'),
        SAMPLES["origin-response"].event().replace(b'"200"', b'"ok"'),
    ],
)
def test_no_word_is_said_of_an_event_that_no_location_would_send(event: bytes) -> None:
    assert refused(event, b"null") is None
