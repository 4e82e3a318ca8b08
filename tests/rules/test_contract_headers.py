"""What functions may do to headers, per event and per row of AWS's tables."""

import pytest

from edgefn.model.hook import Event
from edgefn.model.settings import QuotaProfile
from edgefn.rules.contract import judge_request
from edgefn.rules.edge_headers import HIDDEN, READ_ONLY
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import (
    OQ,
    OR,
    VR,
    VS,
    bound,
    changing,
    given_request,
    given_response,
    lines_of,
    refused,
    run_on_request,
    run_on_response,
    taken,
    with_header,
)

HIDDEN_ROWS = [*sorted(HIDDEN), "x-amz-cf-", "x-amz-cf-id", "x-edge-", "x-edge-location"]

# AWS's tables once more, by hand: these are what the code is held against.
READ_ONLY_ROWS = [
    *[(VR, name) for name in ("cdn-loop", "content-length", "host", "transfer-encoding", "via")],
    *[
        (OQ, name)
        for name in (
            "accept-encoding",
            "cdn-loop",
            "content-length",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "transfer-encoding",
            "via",
        )
    ],
    *[(OR, name) for name in ("transfer-encoding", "via")],
    *[(VS, name) for name in ("warning", "via", "content-length", "content-encoding", "transfer-encoding")],
]
WRITABLE_ROWS = [
    (VR, "accept-encoding"),
    (VR, "if-none-match"),
    (VR, "cookie"),
    (OQ, "host"),
    (OQ, "user-agent"),
    (OQ, "cloudfront-viewer-country"),
    (OQ, "authorization"),
    (OR, "warning"),
    (OR, "content-encoding"),
    (OR, "set-cookie"),
    (OR, "server"),
    (VS, "set-cookie"),
    (VS, "cache-control"),
    (VS, "server"),
]


def run(event, lines, function):
    if event.is_request:
        return run_on_request(event, bound(given_request(("X-First", "1"), *lines)), function)
    return run_on_response(event, given_response(("X-First", "1"), *lines), function)


def part(event):
    return "request" if event.is_request else "response"


def test_the_rows_are_all_of_the_table():
    assert {event: {name for at, name in READ_ONLY_ROWS if at is event} for event in Event} == READ_ONLY


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("name", HIDDEN_ROWS)
def test_adding_a_hidden_header_breaks_the_contract(event, name):
    violation = refused(run(event, [], with_header(part(event), name, "x")))
    assert violation.field == f"headers.{name}"
    assert violation.rule == "the function tried to add a blacklisted header"
    assert violation.sentence.endswith("failed validation: The function tried to add a blacklisted header.")


@pytest.mark.parametrize("event", Event)
def test_a_hidden_header_is_recognised_in_any_case(event):
    assert refused(run(event, [], with_header(part(event), "X-AMZ-Cf-Id", "x"))).field == "headers.x-amz-cf-id"


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("name", HIDDEN_ROWS)
def test_a_hidden_header_stays_on_the_message_where_it_was(event, name):
    lines = [(name.title(), "hidden"), ("X-Last", "1")]
    outcome = run(event, lines, with_header(part(event), "x-first", "2"))
    assert lines_of(outcome) == (("X-First", "2"), *lines)


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
def test_adding_a_read_only_header_breaks_the_contract(event, name):
    violation = refused(run(event, [], with_header(part(event), name, "1")))
    assert (violation.field, violation.rule) == (f"headers.{name}", "the function tried to add read-only header")
    assert violation.sentence.endswith("The function tried to add, delete, or change a read-only header.")


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
@pytest.mark.parametrize("values", [("2",), ("1", "1")], ids=["another value", "another line"])
def test_changing_a_read_only_header_breaks_the_contract(event, name, values):
    violation = refused(run(event, [(name, "1")], with_header(part(event), name, *values)))
    assert (violation.field, violation.rule) == (f"headers.{name}", "the function tried to change read-only header")


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
def test_deleting_a_read_only_header_breaks_the_contract(event, name):
    violation = refused(run(event, [(name, "1")], with_header(part(event), name)))
    assert (violation.field, violation.rule) == (f"headers.{name}", "the function tried to delete read-only header")


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
def test_an_empty_array_for_a_read_only_header_deletes_it(event, name):
    empty = changing(part(event), lambda shown: shown["headers"].update({name: []}))
    assert refused(run(event, [(name, "1")], empty)).rule == "the function tried to delete read-only header"


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
def test_a_read_only_header_that_only_lost_its_key_is_unchanged(event, name):
    outcome = run(event, [(name.upper(), "1")], with_header(part(event), name, "1"))
    assert lines_of(outcome) == (("X-First", "1"), (name.upper(), "1"))


@pytest.mark.parametrize(("event", "name"), READ_ONLY_ROWS)
def test_a_fresh_headers_object_deletes_read_only_headers_too(event, name):
    fresh = changing(part(event), lambda shown: shown.update(headers={}))
    assert refused(run(event, [(name, "1")], fresh)).rule == "the function tried to delete read-only header"


@pytest.mark.parametrize(("event", "name"), WRITABLE_ROWS)
def test_other_headers_may_be_added_changed_and_deleted(event, name):
    title = name.title()
    added = run(event, [], with_header(part(event), name, "2"))
    assert lines_of(added) == (("X-First", "1"), (title, "2"))
    changed = run(event, [(name, "1"), ("X-Last", "1")], with_header(part(event), name, "2"))
    assert lines_of(changed) == (("X-First", "1"), (title, "2"), ("X-Last", "1"))
    if name != "host":
        deleted = run(event, [(name, "1"), ("X-Last", "1")], with_header(part(event), name))
        assert lines_of(deleted) == (("X-First", "1"), ("X-Last", "1"))


def test_viewer_request_may_not_add_the_viewers_country_but_may_change_one():
    name = "cloudfront-viewer-country"
    assert refused(run(VR, [], with_header("request", name, "DE"))).field == f"headers.{name}"
    changed = taken(run(VR, [(name, "FR")], with_header("request", name, "DE")))
    assert changed.headers.get(name) == "DE"


def test_origin_request_chooses_the_host():
    assert taken(run(OQ, [("host", "a.example")], with_header("request", "host", "b.example"))).headers.get("host") == (
        "b.example"
    )


def test_a_deleted_host_becomes_the_origins():
    assert lines_of(run(OQ, [("host", "a.example")], with_header("request", "host"))) == (
        ("X-First", "1"),
        ("Host", "127.0.0.1:9000"),
    )


@pytest.mark.parametrize("hosts", [("a", "b"), ("a b",), ("a/b",), ("u@a",), ("",), ("a\\b",), ("é",)])
def test_what_is_no_host_is_refused(hosts):
    assert refused(run(OQ, [("host", "a.example")], with_header("request", "host", *hosts))).field == "headers.host"


def set_header(name, entries):
    return changing("request", lambda shown: shown["headers"].update({name: entries}))


def test_a_missing_key_is_the_name_in_title_case():
    outcome = run(VR, [], set_header("x-CUSTOM-a", [{"value": "1"}, {"value": "2", "key": None}]))
    assert lines_of(outcome)[1:] == (("X-Custom-A", "1"), ("X-Custom-A", "2"))


def test_a_key_keeps_its_case():
    outcome = run(VR, [], set_header("x-a", [{"key": "x-A", "value": "1"}]))
    assert lines_of(outcome)[1:] == (("x-A", "1"),)


def test_strings_stand_for_values():
    outcome = run(VR, [], set_header("x-a", ["1", "2"]))
    assert lines_of(outcome)[1:] == (("X-A", "1"), ("X-A", "2"))


def test_an_empty_array_adds_nothing():
    assert lines_of(run(VR, [], set_header("x-a", []))) == (("X-First", "1"),)


@pytest.mark.parametrize("entries", ["text", {"key": "X-A", "value": "1"}, None, 1, True])
def test_an_entry_that_is_no_array_is_refused_in_awss_words(entries):
    violation = refused(run(VR, [], set_header("x-a", entries)))
    assert violation.field == "headers.x-a"
    assert violation.sentence == (
        "The Lambda function returned an invalid entry in the headers object: "
        "Each header entry in the headers object must be an array."
    )


@pytest.mark.parametrize(
    "entry",
    [
        1,
        None,
        [],
        {},
        {"key": "X-A"},
        {"value": 1},
        {"value": None},
        {"value": ["1"]},
        {"key": 1, "value": "1"},
        {"key": "", "value": "1"},
        {"key": "X-B", "value": "1"},
        {"key": "X-A ", "value": "1"},
    ],
)
def test_a_malformed_element_is_refused(entry):
    assert refused(run(VR, [], set_header("x-a", [entry]))).field == "headers.x-a"


@pytest.mark.parametrize("name", ["", "x a", "x:a", "x\r\na", "x\0", "é", "x-ä", "x(", "x/y"])
def test_a_name_must_be_a_token(name):
    violation = refused(run(VR, [], set_header(name, [{"value": "1"}])))
    assert violation.rule == "the function returned an invalid header, invalid header name"


def test_a_key_must_be_a_token_even_where_its_lower_case_is_one():
    function = set_header("\u212aeep-x", [{"key": "\u212aeep-x", "value": "1"}])
    assert refused(run(VR, [], function)).rule == "the function returned an invalid header, invalid header name"


def test_a_hidden_name_can_not_be_disguised_by_a_letter_like_the_kelvin_sign():
    kelvin = set_header("\u212aeep-Alive", [{"value": "1"}])
    assert refused(run(VR, [], kelvin)).rule == "the function tried to add a blacklisted header"


def test_the_log_names_the_bad_character():
    violation = refused(run(VR, [], set_header("location", [{"value": "/\r\nx: y"}])))
    assert violation.rule == "the function returned an invalid header, invalid character : '%0D' in header value"


@pytest.mark.parametrize("bad", [chr(code) for code in (*range(9), *range(10, 32), 127)])
def test_control_characters_in_values_are_refused(bad):
    assert refused(run(VR, [], set_header("x-a", [{"value": f"a{bad}b"}]))).field == "headers.x-a"


@pytest.mark.parametrize(("value", "wire"), [("a\tb", b"a\tb"), (" a ", b"a"), ("é€", "é€".encode()), ("", b"")])
def test_new_values_go_out_as_utf_8_without_outer_blanks(value, wire):
    request = taken(run(VR, [], set_header("x-a", [{"value": value}])))
    assert request.headers.get("x-a").encode("latin-1") == wire


def test_a_new_line_beside_old_ones_leaves_their_bytes_alone():
    lines = [("X-A", "\xe9"), ("x-a", "\xc3\xa9"), ("X-Last", "1")]
    more = changing("request", lambda shown: shown["headers"]["x-a"].append({"key": "X-a", "value": "é2"}))
    assert lines_of(run(VR, lines, more))[1:] == (*lines[:2], ("X-a", "\xc3\xa92"), lines[2])


def test_an_old_value_that_moved_keeps_its_bytes():
    lines = [("X-A", "1"), ("X-A", "\xe9")]
    fewer = changing("request", lambda shown: shown["headers"]["x-a"].pop(0))
    assert lines_of(run(VR, lines, fewer))[1:] == (("X-A", "\xe9"),)


def test_lines_of_a_changed_name_come_together_at_the_first_ones_place():
    lines = [("Cookie", "a"), ("Accept", "x"), ("cookie", "b")]
    assert lines_of(run(VR, lines, with_header("request", "cookie", "c", "d")))[1:] == (
        ("Cookie", "c"),
        ("Cookie", "d"),
        ("Accept", "x"),
    )


def test_new_names_come_last_in_the_functions_order():
    def change(shown):
        shown["headers"] = {"x-z": [{"value": "1"}], **shown["headers"], "x-b": [{"value": "2"}]}

    assert lines_of(run(VR, [("Accept", "x")], changing("request", change))) == (
        ("X-First", "1"),
        ("Accept", "x"),
        ("X-Z", "1"),
        ("X-B", "2"),
    )


@pytest.mark.parametrize("event", Event)
def test_names_that_differ_only_in_case_are_refused(event):
    twice = changing(part(event), lambda shown: shown["headers"].update({"X-First": [{"value": "2"}]}))
    assert refused(run(event, [], twice)).rule == "the function returned a header name twice"


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("headers", [None, [], "x", 1, [["x-a", "1"]]])
def test_headers_must_be_an_object(event, headers):
    function = changing(part(event), lambda shown: shown.update(headers=headers))
    assert refused(run(event, [], function)).field == "headers"


def test_names_in_upper_case_mean_the_same_header():
    def change(shown):
        shown["headers"] = {"X-FIRST": shown["headers"]["x-first"]}

    assert lines_of(run(VR, [], changing("request", change))) == (("X-First", "1"),)


def test_lone_surrogates_never_reach_the_wire():
    result = b'{"uri":"/","headers":{"x-a":[{"value":"\\ud800"}]}}'
    outcome = judge_request(VR, given_request(), None, result, quotas(QuotaProfile.AWS_2025, VR))
    assert refused(outcome).field == "result"
