"""What functions may answer with in an origin's stead, and what they may make of its response."""

import base64
from dataclasses import replace

import pytest

from edgefn.model.headers import Headers
from edgefn.model.message import BytesBody
from edgefn.model.settings import QuotaProfile
from edgefn.rules.contract import judge_response
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import (
    OQ,
    OR,
    VR,
    VS,
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
)


def generate(event, method="GET", **response):
    return run_on_request(event, bound(given_request(method=method)), lambda _: response)


@pytest.mark.parametrize("event", [VR, OQ])
def test_a_redirect_takes_the_origins_place(event):
    location = {"location": [{"key": "Location", "value": "/x"}]}
    response = answered(generate(event, status="302", statusDescription="Found", headers=location))
    assert (response.status, response.reason) == (302, "Found")
    assert lines_of(response) == (("Location", "/x"), ("Content-Length", "0"))
    assert response.body.buffered() == b""
    assert response.from_origin_error is False


@pytest.mark.parametrize(("status", "number"), [("200", 200), (200, 200), ("599", 599), (599, 599), ("418", 418)])
def test_a_status_is_a_string_or_a_number_from_200_to_599(status, number):
    assert answered(generate(VR, status=status)).status == number


@pytest.mark.parametrize(
    "status",
    [
        *("199", 199, "600", 600, "99", 100, "", "ok", "2000", " 200", "200 ", "0200", "+200", "２００", "200\n"),
        *(200.0, -200, 0, True, None, [], {}, 2**63),
    ],
)
@pytest.mark.parametrize("event", [VR, OQ, OR, VS])
def test_any_other_status_is_refused(event, status):
    if event.is_request:
        outcome = generate(event, status=status)
    else:
        outcome = run_on_response(event, given_response(), setting("response", status=status))
    assert refused(outcome).field == "status"


@pytest.mark.parametrize("event", [OR, VS])
def test_a_response_without_a_status_is_refused(event):
    without = changing("response", lambda shown: shown.pop("status"))
    assert refused(run_on_response(event, given_response(), without)).field == "status"


@pytest.mark.parametrize("event", [OR, VS])
@pytest.mark.parametrize("result", [b"null", b"{}", b"[]", b'"x"', b"{", b'{"Records":[]}'])
def test_what_is_no_response_is_refused(event, result):
    limits = quotas(QuotaProfile.AWS_2025, event)
    assert refused(judge_response(event, given_request(), given_response(), result, limits)).field == "result"


@pytest.mark.parametrize(("status", "phrase"), [("404", "Not Found"), ("200", "OK"), ("599", ""), ("222", "")])
def test_the_usual_phrase_stands_in_for_a_description(status, phrase):
    assert answered(generate(VR, status=status)).reason == phrase
    fresh = run_on_response(OR, given_response(reason="Fine"), lambda _: {"status": status})
    assert answered(fresh).reason == phrase


def test_a_description_is_free_text():
    assert answered(generate(VR, status=307, statusDescription="Für Elise")).reason == "F\xc3\xbcr Elise"
    assert answered(generate(VR, status=307, statusDescription="")).reason == ""


@pytest.mark.parametrize("description", ["a\r\nb", "\n", "\0", "\x7f", None, 1, ["OK"]])
@pytest.mark.parametrize("event", [VR, OQ, OR, VS])
def test_a_bad_description_is_refused(event, description):
    if event.is_request:
        outcome = generate(event, status="200", statusDescription=description)
    else:
        outcome = run_on_response(event, given_response(), setting("response", statusDescription=description))
    assert refused(outcome).field == "statusDescription"


@pytest.mark.parametrize(
    ("values", "data"),
    [
        ({"body": "grüß"}, "grüß".encode()),
        ({"body": "AP8=", "bodyEncoding": "base64"}, b"\x00\xff"),
        ({"body": "AP8=", "bodyEncoding": "text"}, b"AP8="),
        ({"body": ""}, b""),
        ({}, b""),
        ({"bodyEncoding": "base64"}, b""),
    ],
)
@pytest.mark.parametrize("event", [VR, OQ])
def test_a_body_is_text_or_base64(event, values, data):
    response = answered(generate(event, status="200", **values))
    assert response.body.buffered() == data
    assert response.headers == Headers([("Content-Length", str(len(data)))])


@pytest.mark.parametrize(
    "values",
    [
        {"body": None},
        {"body": 1},
        {"body": {"data": "x"}},
        {"body": "x", "bodyEncoding": "gzip"},
        {"body": "x", "bodyEncoding": None},
        {"body": "x", "bodyEncoding": "base64"},
        {"body": "AP 8=", "bodyEncoding": "base64"},
    ],
)
@pytest.mark.parametrize("event", [VR, OQ, OR])
def test_a_malformed_body_is_refused(event, values):
    if event is OR:
        outcome = run_on_response(OR, given_response(), setting("response", **values))
    else:
        outcome = generate(event, status="200", **values)
    assert refused(outcome).sentence.endswith("is not a string, is not an object, or exceeds the maximum size.")


@pytest.mark.parametrize(("event", "limit"), [(VR, 40 * 1024), (OQ, 1024**2)])
@pytest.mark.parametrize("encoding", ["text", "base64"])
def test_header_lines_and_body_together_are_bounded(event, limit, encoding):
    headers = {"x-a": [{"key": "X-A", "value": "12345"}]}  # "X-A: 12345" and its line end: 12 bytes

    def sized(size):
        data = b"x" * size
        body = base64.b64encode(data).decode() if encoding == "base64" else data.decode()
        return generate(event, status="200", headers=headers, body=body, bodyEncoding=encoding)

    assert answered(sized(limit - 12)).body.length == limit - 12
    assert refused(sized(limit - 11)).rule == "the function returned a response that exceeds the maximum size"


def test_an_origin_response_with_a_new_body_is_bounded_in_the_same_way():
    limit = 1024**2 - len("Content-Type: text/plain\r\n")
    fits = run_on_response(OR, given_response(), setting("response", body="x" * limit))
    assert answered(fits).body.length == limit
    over = run_on_response(OR, given_response(), setting("response", body="x" * (limit + 1)))
    assert refused(over).field == "body"


def test_204_with_a_body_is_refused_at_the_door_and_loses_it_further_in():
    assert refused(generate(VR, status="204", body="x")).field == "body"
    for response in (
        generate(VR, status="204", body=""),
        generate(VR, status="204"),
        generate(OQ, status=204, body="x"),
    ):
        assert answered(response).body.length == 0
        assert lines_of(response) == ()
    assert lines_of(generate(OQ, status="304", body="x", headers={"etag": [{"value": '"1"'}]})) == (("Etag", '"1"'),)


def length(*values):
    return {"content-length": [{"key": "Content-Length", "value": value} for value in values]}


def test_a_true_content_length_stays():
    response = answered(generate(VR, status="200", body="abc", headers=length("3")))
    assert lines_of(response) == (("Content-Length", "3"),)


@pytest.mark.parametrize("values", [("2",), ("4",), ("3", "3"), ("03",), ("",), ("-3",), ("3, 3",)])
def test_a_false_content_length_is_refused(values):
    assert refused(generate(VR, status="200", body="abc", headers=length(*values))).field == "headers.content-length"


def test_the_answer_to_head_may_tell_the_length_of_a_body_that_is_not_there():
    response = answered(generate(VR, method="HEAD", status="200", headers=length("1234")))
    assert lines_of(response) == (("Content-Length", "1234"),)
    assert refused(generate(VR, method="HEAD", status="200", headers=length("x"))).field == "headers.content-length"
    assert refused(generate(VR, method="GET", status="200", headers=length("1234"))).field == "headers.content-length"


def test_a_generated_response_can_not_set_its_framing():
    headers = {"transfer-encoding": [{"value": "chunked"}]}
    assert refused(generate(OQ, status="200", headers=headers)).field == "headers.transfer-encoding"


@pytest.mark.parametrize("name", ["connection", "x-cache", "x-amz-cf-id", "trailer"])
def test_a_generated_response_can_not_have_hidden_headers(name):
    assert refused(generate(VR, status="200", headers={name: [{"value": "1"}]})).field == f"headers.{name}"


@pytest.mark.parametrize("name", ["via", "host", "warning", "accept-encoding", "cloudfront-viewer-country"])
def test_what_is_read_only_elsewhere_is_free_in_a_generated_response(name):
    assert answered(generate(VR, status="200", headers={name: [{"value": "1"}]})).headers.get(name) == "1"


@pytest.mark.parametrize(
    "headers", [None, [], "x", {"location": "/x"}, {"location": {"key": "Location", "value": "/x"}}]
)
def test_malformed_headers_are_refused(headers):
    assert refused(generate(VR, status="302", headers=headers)).field.startswith("headers")


def test_an_origin_response_changes_in_status_reason_headers_and_body():
    sent = given_response(("Content-Length", "9"), ("Server", "a"), ("X-Cache", "Hit"), status=404, reason="Not Found")
    change = setting("response", status="200", statusDescription="Fine", body="ok")
    response = answered(run_on_response(OR, sent, change))
    assert (response.status, response.reason, response.body.buffered()) == (200, "Fine", b"ok")
    assert lines_of(response) == (("Content-Length", "2"), ("Server", "a"), ("X-Cache", "Hit"))


@pytest.mark.parametrize("is_error", [True, False])
def test_it_stays_known_what_the_origin_said(is_error):
    sent = replace(given_response(status=404), from_origin_error=is_error)
    assert answered(run_on_response(OR, sent, setting("response", status=200, body="ok"))).from_origin_error is is_error


def test_no_body_keeps_the_original_one_and_an_empty_one_removes_it():
    sent = given_response(("Content-Length", "8"))
    kept = answered(run_on_response(OR, sent, setting("response", status="201")))
    assert kept.body is sent.body
    assert kept.headers is sent.headers
    removed = answered(run_on_response(OR, sent, setting("response", body="")))
    assert (removed.body.buffered(), lines_of(removed)) == (b"", (("Content-Length", "0"),))


def test_a_replaced_chunked_body_is_refused_when_its_framing_is_deleted_and_reframed_when_not():
    sent = given_response(("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum"), ("Server", "a"))
    assert refused(run_on_response(OR, sent, lambda _: {"status": "200", "body": "x"})).field == (
        "headers.transfer-encoding"
    )
    response = answered(run_on_response(OR, sent, setting("response", body="xy")))
    assert lines_of(response) == (("Server", "a"), ("Content-Length", "2"))


def test_the_length_of_a_kept_body_is_not_the_functions_to_tell():
    sent = given_response(("Content-Length", "8"), ("Server", "a"))
    fresh = answered(run_on_response(OR, sent, lambda _: {"status": "200", "headers": {"x-a": [{"value": "1"}]}}))
    assert lines_of(fresh) == (("Content-Length", "8"), ("X-A", "1"))
    for claimed in ("7", "9", "x"):
        lie = changing("response", lambda shown, claimed=claimed: shown["headers"].update(length(claimed)))
        assert refused(run_on_response(OR, sent, lie)).field == "headers.content-length"


def test_a_body_of_unknown_length_takes_no_length_from_a_function():
    class Endless(BytesBody):
        def __init__(self):
            super().__init__(b"")
            self.length = None

    sent = replace(given_response(("Server", "a")), body=Endless())
    guess = changing("response", lambda shown: shown["headers"].update(length("8")))
    assert refused(run_on_response(OR, sent, guess)).field == "headers.content-length"


def test_the_length_of_a_new_body_may_be_told_when_it_is_true():
    told = changing("response", lambda shown: shown.update(body="ab", headers=length("2")))
    sent = given_response(("Content-Length", "8"))
    assert lines_of(run_on_response(OR, sent, told)) == (("Content-Length", "2"),)
    false = changing("response", lambda shown: shown.update(body="ab", headers=length("7")))
    assert refused(run_on_response(OR, sent, false)).field == "headers.content-length"


def test_a_head_response_keeps_the_length_that_get_would_have():
    sent = given_response(("Content-Length", "1234"), body=b"")
    response = answered(run_on_response(OR, sent, setting("response", status="203"), method="HEAD"))
    assert lines_of(response) == (("Content-Length", "1234"),)
    told = changing("response", lambda shown: shown["headers"].update(length("99")))
    assert lines_of(run_on_response(OR, sent, told, method="HEAD")) == (("Content-Length", "99"),)


@pytest.mark.parametrize("status", ["204", "304"])
@pytest.mark.parametrize("body", [{}, {"body": "x"}])
def test_a_status_without_a_body_takes_the_body_away(status, body):
    sent = given_response(("Content-Length", "8"), ("Server", "a"))
    response = answered(run_on_response(OR, sent, setting("response", status=status, **body)))
    assert (response.body.buffered(), lines_of(response)) == (b"", (("Server", "a"),))


def test_a_304_that_becomes_a_200_has_no_body_and_says_so():
    sent = given_response(("Content-Length", "1234"), ("ETag", '"1"'), status=304, body=b"")
    response = answered(run_on_response(OR, sent, setting("response", status="200")))
    assert lines_of(response) == (("Content-Length", "0"), ("ETag", '"1"'))


def test_a_status_from_outside_the_range_may_stay():
    sent = given_response(status=101)
    assert answered(run_on_response(OR, sent, lambda cf: cf["response"])).status == 101


def test_viewer_response_changes_headers_and_nothing_else():
    sent = given_response(("Content-Length", "8"), ("Server", "a"))

    def change(shown):
        shown.update(status="500", statusDescription="Oops", body="other", bodyEncoding="what")
        shown["headers"]["server"] = [{"key": "Server", "value": "b"}]

    response = answered(run_on_response(VS, sent, changing("response", change)))
    assert (response.status, response.reason) == (200, "OK")
    assert response.body is sent.body
    assert lines_of(response) == (("Content-Length", "8"), ("Server", "b"))


def test_a_fresh_viewer_response_that_deletes_the_length_is_refused():
    sent = given_response(("Content-Length", "8"))
    violation = refused(run_on_response(VS, sent, lambda _: {"status": "200"}))
    assert (violation.field, violation.rule) == (
        "headers.content-length",
        "the function tried to delete read-only header",
    )
