"""The origins that a viewer-request function may choose."""

from dataclasses import replace

import pytest

from edgefn.model.headers import Headers
from edgefn.model.origin import Origin
from edgefn.model.origin_choice import OriginChoice
from edgefn.rules.cff_origin import KnownOrigins
from tests.rules.cff_given import asked, on_request
from tests.rules.contract_given import BUCKET, CUSTOM, refused, taken

OTHER = Origin(id="other", domain="other.example", port=80)
KNOWN = KnownOrigins(CUSTOM, {"app": CUSTOM, "files": BUCKET, "other": OTHER})


def chosen(origin: object, known: KnownOrigins = KNOWN) -> OriginChoice:
    choice = taken(on_request(asked(), lambda event: {**event["request"], "edge": {"origin": origin}}, known)).choice
    assert choice is not None
    return choice


def refusal(origin: object, known: KnownOrigins = KNOWN) -> str:
    violation = refused(on_request(asked(), lambda event: {**event["request"], "edge": {"origin": origin}}, known))
    assert violation.sentence.startswith(("The CloudFront function returned an invalid value",))
    return violation.field


def test_without_a_choice_there_is_none() -> None:
    assert taken(on_request(asked(), lambda event: {**event["request"], "uri": "/b"}, KNOWN)).choice is None


def test_an_origin_is_chosen_by_its_id() -> None:
    assert chosen({"select": "other", "overrides": {}}) == OriginChoice((OTHER,))


def test_an_origin_chosen_by_id_may_get_another_host() -> None:
    (origin,) = chosen({"select": "other", "overrides": {"hostHeader": "shop.example", "sni": "x"}}).members
    assert origin == replace(OTHER, host_header="shop.example")
    assert origin.authority == "shop.example"


def test_what_is_not_given_is_inherited() -> None:
    (origin,) = chosen(
        {"update": {"timeouts": {"readTimeout": 7, "connectionTimeout": 2}, "connectionAttempts": 1}}
    ).members
    assert origin == replace(CUSTOM, response_timeout=7.0, connect_timeout=2, connection_attempts=1)


def test_another_domain_is_another_place() -> None:
    update = {
        "domainName": "new.example",
        "originPath": "/v2",
        "hostHeader": "new.example",
        "customHeaders": {"X-Key": "k"},
        "customOriginConfig": {"port": 443, "protocol": "https", "sslProtocols": ["TLSv1.2"]},
        "timeouts": {"keepAliveTimeout": 9, "responseCompletionTimeout": 60},
        "originShield": {"enabled": False},
    }
    (origin,) = chosen({"update": update}).members
    assert origin == Origin(
        id="",
        domain="new.example",
        port=443,
        protocol="https",
        path="/v2",
        custom_headers=Headers([("X-Key", "k")]),
        keepalive_timeout=9.0,
        completion_timeout=60.0,
        host_header="new.example",
    )


def test_a_bucket_becomes_another_bucket() -> None:
    (origin,) = chosen({"update": {"domainName": "more.s3.amazonaws.com"}}, KnownOrigins(BUCKET)).members
    assert (origin.kind, origin.domain, origin.region) == (BUCKET.kind, "more.s3.amazonaws.com", "eu-central-1")


def test_two_origins_make_a_group() -> None:
    group = {
        "originIds": ["app", {"originId": "other", "originOverrides": {"hostHeader": "h"}}],
        "failoverCriteria": {"statusCodes": [500, 503]},
    }
    assert chosen({"group": group}) == OriginChoice((CUSTOM, replace(OTHER, host_header="h")), frozenset({500, 503}))


@pytest.mark.parametrize(
    "update",
    [
        {"domainName": "10.0.0.1"},
        {"domainName": "169.254.169.254"},
        {"domainName": "2130706433"},
        {"domainName": ""},
        {"domainName": 1},
        {"originPath": "x"},
        {"customOriginConfig": {"port": 22}},
        {"customOriginConfig": {"protocol": "ftp"}},
        {"customOriginConfig": []},
        {"timeouts": {"readTimeout": 0}},
        {"timeouts": {"connectionTimeout": 11}},
        {"timeouts": 1},
        {"connectionAttempts": 4},
        {"customHeaders": {"Host": "x"}},
        {"customHeaders": {"X": "a\nb"}},
        {"customHeaders": {"X": 1}},
        {"customHeaders": []},
        {"hostHeader": "a b"},
        {"hostHeader": 1},
        {"hostHeader": "a\r\nX: y"},
    ],
)
def test_an_origin_that_is_none_is_refused(update: object) -> None:
    assert refusal({"update": update}).startswith("origin")


@pytest.mark.parametrize(
    "origin",
    [
        {"select": "nobody"},
        {"select": 1},
        {"update": 1},
        {},
        [],
        "app",
        {"select": "app", "overrides": []},
        {"group": {}},
        {"group": {"originIds": ["app"], "failoverCriteria": {"statusCodes": [500]}}},
        {"group": {"originIds": ["app", "nobody"], "failoverCriteria": {"statusCodes": [500]}}},
        {"group": {"originIds": ["app", 1], "failoverCriteria": {"statusCodes": [500]}}},
        {"group": {"originIds": ["app", "other"], "failoverCriteria": {"statusCodes": []}}},
        {"group": {"originIds": ["app", "other"], "failoverCriteria": {"statusCodes": [200]}}},
        {"group": {"originIds": ["app", "other"]}},
    ],
)
def test_a_choice_that_is_none_is_refused(origin: object) -> None:
    assert refusal(origin).startswith("origin")


def test_where_nothing_is_known_nothing_can_be_chosen() -> None:
    assert refusal({"update": {}}, KnownOrigins()) == "origin"
    assert refusal({"select": "app"}, KnownOrigins()) == "origin.originId"
