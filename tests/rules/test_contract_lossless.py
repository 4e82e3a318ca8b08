"""A function that gives back what it got leaves no trace: not in order, not in case, not in a byte."""

import string
from dataclasses import replace

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.model.hook import Event
from edgefn.model.message import Request, Response
from edgefn.model.settings import QuotaProfile
from edgefn.rules.contract import Violation, judge_request, judge_response
from edgefn.rules.edge_headers import HIDDEN, READ_ONLY
from edgefn.rules.event import as_text, as_wire
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import (
    BUCKET,
    CUSTOM,
    OQ,
    OR,
    VR,
    VS,
    bound,
    changing,
    given_request,
    given_response,
    lines_of,
    run_on_request,
    run_on_response,
)

latin_1 = st.text(st.characters(max_codepoint=255), max_size=12)
utf_8 = st.text(max_size=6).filter(lambda text: text.isprintable()).map(as_wire)
tokens = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=10)
known = st.sampled_from(sorted(HIDDEN | frozenset().union(*READ_ONLY.values()))).flatmap(
    lambda name: st.sampled_from([name, name.title(), name.upper()])
)
headers = st.lists(st.tuples(tokens | known, latin_1 | utf_8), max_size=12).map(Headers)


def same(cf):
    return cf["request"] if "response" not in cf else cf["response"]


@given(
    headers, latin_1 | utf_8, st.none() | latin_1 | utf_8, st.sampled_from([VR, OQ]), st.sampled_from([CUSTOM, BUCKET])
)
@settings(max_examples=300, deadline=None)
def test_a_request_stays_what_it_was(lines, path, query, event, origin):
    sent = replace(bound(given_request(), origin), headers=lines, path=path, query=query)
    assert run_on_request(event, sent, same) == sent


@given(headers, latin_1 | utf_8, st.integers(200, 599), st.sampled_from([OR, VS]))
@settings(max_examples=300, deadline=None)
def test_a_response_stays_what_it_was(lines, reason, status, event):
    sent = replace(given_response(), headers=lines, reason=reason, status=status)
    assert run_on_response(event, sent, same) == sent


@given(headers)
@settings(max_examples=200, deadline=None)
def test_a_header_that_is_added_leaves_all_others_alone(lines):
    sent = replace(given_request(), headers=lines.without("x-new"))
    add = changing("request", lambda shown: shown["headers"].update({"x-new": [{"value": "1"}]}))
    assert lines_of(run_on_request(VR, sent, add)) == (*sent.headers, ("X-New", "1"))


@given(headers)
@settings(max_examples=200, deadline=None)
def test_a_function_that_writes_every_header_anew_changes_no_byte_of_a_value(lines):
    def rewrite(shown):
        shown["headers"] = {
            name: [{"key": entry["key"], "value": str(entry["value"])} for entry in reversed(entries)][::-1]
            for name, entries in shown["headers"].items()
        }

    sent = replace(given_request(), headers=lines)
    assert lines_of(run_on_request(VR, sent, changing("request", rewrite))) == tuple(sent.headers)


@given(latin_1)
def test_text_goes_to_the_function_and_back_without_loss_unless_it_was_no_utf_8(wire):
    assert as_wire(as_text(wire)) == wire or as_text(wire) == wire


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
result_fields = {
    "uri": json | st.just("/"),
    "querystring": json | st.just(""),
    "headers": json | st.dictionaries(tokens | known, st.lists(st.fixed_dictionaries({"value": json})), max_size=3),
    "status": json | st.just("200"),
    "statusDescription": json,
    "body": json,
    "bodyEncoding": json,
    "origin": json
    | st.fixed_dictionaries({"custom": json | st.fixed_dictionaries({"domainName": json, "port": json})}),
}
results = json | st.fixed_dictionaries({}, optional=result_fields)


@given(results, st.sampled_from(Event))
@settings(max_examples=500, deadline=None)
def test_whatever_comes_back_there_is_an_answer(result, event):
    limits = quotas(QuotaProfile.AWS_2025, event)
    asked, sent = bound(given_request()), given_response()
    if event.is_request:
        outcome = judge_request(event, asked, None, orjson.dumps(result), limits)
    else:
        outcome = judge_response(event, asked, sent, orjson.dumps(result), limits)
    assert isinstance(outcome, Request | Response | Violation)
    if not isinstance(outcome, Violation):
        fresh = [line for line in outcome.headers if line not in list(asked.headers)]
        assert not any(bad in name + value for name, value in fresh for bad in "\r\n\0")


@given(st.binary(max_size=40), st.sampled_from([VR, OQ]))
def test_whatever_bytes_come_back_there_is_an_answer(result, event):
    outcome = judge_request(event, bound(given_request()), None, result, quotas(QuotaProfile.AWS_2025, event))
    assert isinstance(outcome, Violation)
