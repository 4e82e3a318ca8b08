"""Where an origin-request function may send a request."""

from dataclasses import replace

import pytest

from edgefn.model.headers import Headers
from edgefn.model.origin import Origin, OriginKind
from edgefn.rules.edge_headers import ORIGIN_DENIED
from tests.rules.contract_given import (
    BUCKET,
    CUSTOM,
    OQ,
    bound,
    changing,
    given_request,
    refused,
    run_on_request,
    setting,
    taken,
)

CLEAN_BUCKET = replace(BUCKET, auth_method="none", region="")
SSL_PROTOCOLS = ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"]
NEW_CUSTOM = {
    "domainName": "www.example.com",
    "port": 443,
    "protocol": "https",
    "path": "",
    "sslProtocols": ["TLSv1", "TLSv1.1"],
    "readTimeout": 5,
    "keepaliveTimeout": 6,
    "customHeaders": {},
}
NEW_BUCKET = {
    "domainName": "other.s3.amazonaws.com",
    "region": "",
    "authMethod": "none",
    "path": "",
    "customHeaders": {},
}


def run(origin, function):
    return run_on_request(OQ, bound(given_request(), origin), function)


def chosen(outcome):
    return taken(outcome).origin


def fields(kind, **values):
    return changing("request", lambda shown: shown["origin"][kind].update(values))


def custom(origin=CUSTOM, **values):
    return run(origin, fields("custom", **values))


def bucket(origin=BUCKET, **values):
    return run(origin, fields("s3", **values))


@pytest.mark.parametrize("origin", [CUSTOM, BUCKET])
def test_an_unchanged_origin_is_the_configured_one(origin):
    assert chosen(run(origin, lambda cf: cf["request"])) is origin


@pytest.mark.parametrize(
    "broken",
    [
        replace(CUSTOM, port=81, path="/a/", response_timeout=0.1, keepalive_timeout=300.0, ssl_protocols=()),
        replace(CUSTOM, completion_timeout=1.0, custom_headers=Headers([("X-Amz-Meta", "1"), ("Host", "x\x01")])),
        replace(BUCKET, domain="UPPER_" * 40, auth_method="what", region=" "),
    ],
)
def test_what_the_operator_configured_is_not_judged_while_another_field_changes(broken):
    assert chosen(run(broken, fields(broken.kind.value, path="/new"))) == replace(broken, path="/new")


def test_a_change_of_place_forgets_how_the_operator_reaches_the_configured_one():
    for change in ({"domainName": "b.example"}, {"port": 8443}, {"protocol": "https"}):
        origin = chosen(custom(**change))
        assert (origin.id, origin.address, origin.tls_ca, origin.tls_verify) == ("", None, None, True)
        assert origin.custom_headers == CUSTOM.custom_headers
        assert origin.kind is OriginKind.CUSTOM


def test_a_change_of_anything_else_keeps_id_and_address():
    origin = chosen(custom(path="/b", readTimeout=7, keepaliveTimeout=8.5, responseCompletionTimeout=9))
    assert origin == replace(CUSTOM, path="/b", response_timeout=7.0, keepalive_timeout=8.5, completion_timeout=9.0)


def test_the_host_header_does_not_follow_the_domain():
    assert taken(custom(domainName="b.example")).headers.get("host") == "example.com"


def test_a_bucket_becomes_a_custom_origin():
    origin = chosen(run(BUCKET, setting("request", origin={"custom": NEW_CUSTOM})))
    assert origin == Origin(
        id="",
        domain="www.example.com",
        port=443,
        protocol="https",
        response_timeout=5.0,
        keepalive_timeout=6.0,
        ssl_protocols=("TLSv1", "TLSv1.1"),
    )


def test_a_custom_origin_becomes_a_bucket_on_https():
    def switch(shown):
        del shown["origin"]["custom"]
        shown["origin"]["s3"] = NEW_BUCKET

    origin = chosen(run(replace(CUSTOM, connect_timeout=3.0, connection_attempts=1), changing("request", switch)))
    assert origin == Origin(
        id="",
        domain="other.s3.amazonaws.com",
        port=443,
        protocol="https",
        kind=OriginKind.S3,
        connect_timeout=3.0,
        connection_attempts=1,
    )


def test_a_switch_needs_only_what_has_no_default():
    given = {"domainName": "a.example", "port": 80, "protocol": "http"}
    origin = chosen(run(BUCKET, setting("request", origin={"custom": given})))
    assert origin == Origin(id="", domain="a.example", port=80)
    for name in given:
        partial = {key: value for key, value in given.items() if key != name}
        assert refused(run(BUCKET, setting("request", origin={"custom": partial}))).field == f"origin.custom.{name}"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        {},
        [],
        "custom",
        {"custom": NEW_CUSTOM, "s3": NEW_BUCKET},
        {"custom": None},
        {"other": NEW_CUSTOM},
        {"custom": []},
        {"s3": "x"},
    ],
)
def test_there_is_exactly_one_shape(origin):
    violation = refused(run(CUSTOM, setting("request", origin=origin)))
    assert violation.field.startswith("origin")
    assert violation.sentence.startswith("The Lambda function returned an invalid origin configuration: ")


def test_a_deleted_origin_is_refused():
    assert refused(run(CUSTOM, changing("request", lambda shown: shown.pop("origin")))).field == "origin"


def test_a_request_that_had_no_origin_may_get_one_or_stay_without():
    sent = given_request()
    assert taken(run_on_request(OQ, sent, lambda cf: cf["request"])).origin is None
    given = run_on_request(OQ, sent, setting("request", origin={"custom": NEW_CUSTOM}))
    assert taken(given).origin.domain == "www.example.com"


@pytest.mark.parametrize(
    "domain", ["a", "localhost", "a-b.example", "a_b.example", "1a.example", "A.Example", "x" * 63, ("a." * 126) + "b"]
)
def test_a_domain_is_a_dns_name(domain):
    assert chosen(custom(domainName=domain)).domain == domain


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a.",
        "-a.b",
        "a-.b",
        "a b",
        "a:80",
        "a/b",
        "u@a",
        "é.example",
        "a\n",
        "x" * 64,
        ("a." * 126) + "bc",
        "192.0.2.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "a.0x1",
        "[::1]",
        "::1",
        None,
        1,
        ["a"],
    ],
)
def test_anything_else_is_no_domain(domain):
    violation = refused(custom(domainName=domain))
    assert violation.field == "origin.custom.domainName"
    assert violation.sentence == (
        "The Lambda function returned an invalid origin configuration: The value of DomainName is invalid."
    )


@pytest.mark.parametrize("port", [80, 443, 1024, 65_535])
def test_ports_that_may_be(port):
    assert chosen(custom(port=port)).port == port


@pytest.mark.parametrize("port", [0, 79, 81, 442, 444, 1023, 65_536, -80, "80", 80.5, True, None, []])
def test_ports_that_may_not_be(port):
    assert refused(custom(port=port)).field == "origin.custom.port"


@pytest.mark.parametrize("name", ["readTimeout", "keepaliveTimeout"])
def test_timeouts_are_1_to_120_seconds(name):
    for seconds in (1, 1.5, 120):
        origin = chosen(custom(**{name: seconds}))
        assert (origin.response_timeout if name == "readTimeout" else origin.keepalive_timeout) == seconds
    for wrong in (0, 0.9, 120.1, 121, -1, "5", None, True, []):
        assert refused(custom(**{name: wrong})).field == f"origin.custom.{name}"


def test_the_completion_timeout_is_at_least_the_read_timeout_or_none():
    assert chosen(custom(readTimeout=10, responseCompletionTimeout=10)).completion_timeout == 10.0
    assert chosen(custom(responseCompletionTimeout=0)).completion_timeout is None
    bounded = replace(CUSTOM, completion_timeout=40.0)
    assert chosen(custom(bounded, path="/x")).completion_timeout == 40.0
    deleted = changing("request", lambda shown: shown["origin"]["custom"].pop("responseCompletionTimeout"))
    assert chosen(run(bounded, deleted)).completion_timeout is None
    for wrong in ({"responseCompletionTimeout": value} for value in (29, 29.9, -1, "40", None, False)):
        assert refused(custom(**wrong)).field == "origin.custom.responseCompletionTimeout"
    assert refused(custom(bounded, readTimeout=41)).field == "origin.custom.responseCompletionTimeout"


@pytest.mark.parametrize("path", ["", "/a", "/a/b", "/%20", "/a;b=c,d", "/" + "a" * 254])
def test_a_path_is_empty_or_starts_with_a_slash(path):
    assert chosen(custom(replace(CUSTOM, path="/x"), path=path)).path == path


@pytest.mark.parametrize("path", ["a", "/", "/a/", "/a b", "/a?b", "/a#b", "/é", "/a\r\n", "/" + "a" * 255, None, 1])
def test_other_paths_are_refused(path):
    assert refused(custom(path=path)).field == "origin.custom.path"


@pytest.mark.parametrize("protocol", ["HTTP", "match-viewer", "", None, 1, []])
def test_the_protocol_is_http_or_https(protocol):
    assert chosen(custom(protocol="https")).protocol == "https"
    assert refused(custom(protocol=protocol)).field == "origin.custom.protocol"


@pytest.mark.parametrize("protocols", [[], ["TLSv1.3"], ["tlsv1.2"], "TLSv1.2", None, [1], [["TLSv1"]], {}])
def test_ssl_protocols_are_of_four(protocols):
    assert chosen(custom(sslProtocols=SSL_PROTOCOLS)).ssl_protocols == tuple(SSL_PROTOCOLS)
    assert refused(custom(sslProtocols=protocols)).field == "origin.custom.sslProtocols"


@pytest.mark.parametrize(
    "name",
    [*sorted(ORIGIN_DENIED), "x-amz-", "x-amz-cf-id", "x-amz-meta-a", "x-edge-", "x-edge-a", "X-Amz-A", "Cookie"],
)
def test_denied_custom_headers_are_refused(name):
    violation = refused(custom(customHeaders={name: [{"value": "1"}]}))
    assert violation.field == f"origin.custom.customHeaders.{name.lower()}"
    assert violation.sentence.endswith("One or more HeaderName or HeaderValue values are invalid.")


def test_the_denied_custom_headers_are_awss():
    listed = (
        "Cache-Control Connection Content-Length Cookie Host If-Match If-Modified-Since If-None-Match If-Range "
        "If-Unmodified-Since Max-Forwards Pragma Proxy-Authenticate Proxy-Authorization Proxy-Connection Range "
        "Request-Range TE Trailer Transfer-Encoding Upgrade Via X-Real-Ip"
    )
    assert set(listed.lower().split()) == ORIGIN_DENIED


def test_custom_headers_are_added_changed_and_deleted():
    more = {"x-secret": [{"key": "X-Secret", "value": "s3cret"}], "x-b": [{"value": "2"}]}
    assert tuple(chosen(custom(customHeaders=more)).custom_headers) == (("X-Secret", "s3cret"), ("X-B", "2"))
    other = {"x-secret": [{"key": "x-secret", "value": "other"}]}
    assert tuple(chosen(custom(customHeaders=other)).custom_headers) == (("x-secret", "other"),)
    assert chosen(custom(customHeaders={})).custom_headers == Headers()


@pytest.mark.parametrize(
    "headers", [None, [], "x", {"x-a": "1"}, {"x-a": [{"value": "a\nb"}]}, {"x a": [{"value": "1"}]}, {"x-a": [{}]}]
)
def test_malformed_custom_headers_are_refused(headers):
    violation = refused(custom(customHeaders=headers))
    assert violation.field.startswith("origin.custom.customHeaders")
    assert violation.sentence.endswith("One or more HeaderName or HeaderValue values are invalid.")


def test_a_name_is_either_a_custom_header_or_one_of_the_request():
    as_custom = custom(customHeaders={"accept": [{"value": "1"}]})
    assert refused(as_custom).field == "origin.custom.customHeaders.accept"
    in_request = changing("request", lambda shown: shown["headers"].update({"x-secret": [{"value": "1"}]}))
    assert refused(run(CUSTOM, in_request)).field == "origin.custom.customHeaders.x-secret"


def test_an_overlap_that_was_there_before_may_stay():
    sent = bound(given_request(("Host", "a"), ("X-Secret", "viewer")))
    more = changing("request", lambda shown: shown["headers"].update({"x-b": [{"value": "1"}]}))
    assert taken(run_on_request(OQ, sent, more)).headers.get("x-b") == "1"


def test_one_bucket_follows_another_with_the_same_identity():
    origin = chosen(bucket(domainName="other.s3.amazonaws.com", region="us-east-1"))
    assert origin == replace(BUCKET, id="", domain="other.s3.amazonaws.com", region="us-east-1")


def test_buckets_behind_an_address_of_the_operator_stay_behind_it():
    local = replace(BUCKET, protocol="http", port=9000, address="127.0.0.1:9000")
    origin = chosen(bucket(local, domainName="other.s3.amazonaws.com"))
    assert origin == replace(local, id="", domain="other.s3.amazonaws.com")


def test_a_bucket_without_such_an_address_is_verified_again():
    origin = chosen(bucket(replace(BUCKET, tls_verify=False, tls_ca="/ca"), domainName="other.s3.amazonaws.com"))
    assert (origin.tls_verify, origin.tls_ca) == (True, None)


@pytest.mark.parametrize("domain", ["Upper.example", "a" * 60 + "." + "b" * 60 + "." + "c" * 7, "", "192.0.2.1", None])
def test_the_domain_of_a_bucket_is_lower_case_and_short(domain):
    assert refused(bucket(domainName=domain)).field == "origin.s3.domainName"


def test_the_domain_of_a_bucket_may_have_128_characters():
    domain = "a" * 60 + "." + "b" * 60 + "." + "c" * 6
    assert len(domain) == 128
    assert chosen(bucket(domainName=domain)).domain == domain


def test_an_identity_can_not_be_brought_along():
    identity = {**NEW_BUCKET, "authMethod": "origin-access-identity", "region": "us-east-1"}
    assert refused(run(CUSTOM, setting("request", origin={"s3": identity}))).field == "origin.s3.authMethod"
    assert refused(bucket(CLEAN_BUCKET, authMethod="origin-access-identity", region="us-east-1")).field == (
        "origin.s3.authMethod"
    )


def test_an_identity_can_be_given_up():
    origin = chosen(bucket(authMethod="none", region=""))
    assert (origin.auth_method, origin.region) == ("none", "")


@pytest.mark.parametrize("region", ["", "US East", None, 1])
def test_an_identity_needs_a_region(region):
    assert refused(bucket(region=region)).field == "origin.s3.region"


@pytest.mark.parametrize("method", ["origin-access-control", "", None, 1, []])
def test_there_are_two_ways_to_authenticate(method):
    assert refused(bucket(authMethod=method)).field == "origin.s3.authMethod"
