"""The CloudFront-* request headers."""

import pytest

from edgefn.model.headers import Headers
from edgefn.model.message import Viewer
from edgefn.model.settings import CachePolicy, Forwarding, RouteSettings
from edgefn.rules.viewer_headers import (
    CANONICAL,
    MAX_HEADER_ORDER,
    GeoFacts,
    Seen,
    classify,
    is_edge_header,
    wanted,
    with_edge_headers,
)

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 (KHTML) Version/17.0 Mobile/15E1"
IPAD = "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1 (KHTML) Version/16.0 Mobile/15E1 Safari"
PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537 (KHTML, like Gecko) Chrome/120 Mobile Safari/537"
ANDROID_TABLET = "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537 (KHTML, like Gecko) Chrome/120 Safari/537"
KINDLE = "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537 (KHTML) Silk/100 like Chrome/100 Safari/537"
SAMSUNG_TV = "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537 (KHTML) Version/6.0 TV Safari/537"
LG_TV = "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537 (KHTML, like Gecko) Chrome/94 Safari/537"
FIRE_TV = "Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7) AppleWebKit/537 (KHTML) Chrome/90 Mobile Safari/537"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537"


@pytest.mark.parametrize(
    ("user_agent", "kinds"),
    [
        (WINDOWS, {"desktop"}),
        ("curl/8.5.0", {"desktop"}),
        ("", {"desktop"}),
        (IPHONE, {"mobile", "ios"}),
        (IPAD, {"tablet", "ios"}),
        (PIXEL, {"mobile", "android"}),
        (ANDROID_TABLET, {"tablet", "android"}),
        (KINDLE, {"tablet", "android"}),
        (SAMSUNG_TV, {"smart_tv"}),
        (LG_TV, {"smart_tv"}),
        (FIRE_TV, {"smart_tv", "android"}),
    ],
)
def test_a_user_agent_tells_the_device(user_agent, kinds):
    device = classify(user_agent)
    names = ("desktop", "mobile", "tablet", "smart_tv", "android", "ios")
    assert {name for name in names if getattr(device, name)} == kinds


RECEIVED = Headers([("Host", "h"), ("User-Agent", IPHONE), ("accept", "*/*")])
GEO = GeoFacts(
    country="CH",
    country_name="Switzerland",
    region="ZH",
    region_name="Zürich",
    city="Zürich",
    postal_code="8001",
    latitude="47.36670",
    longitude="8.55000",
    time_zone="Europe/Zurich",
    asn="559",
)
PLAIN = Seen(Viewer("192.0.2.7", 4000), RECEIVED)
SECURE = Seen(Viewer("2001:db8::1", 5000, ("TLSv1.3", "TLS_AES_128_GCM_SHA256")), RECEIVED, "1.1", GEO)


def value(name, seen):
    return with_edge_headers(Headers(), (name,), seen).get(name.lower())


@pytest.mark.parametrize(
    ("name", "plain", "secure"),
    [
        ("CloudFront-Is-Mobile-Viewer", "true", "true"),
        ("CloudFront-Is-IOS-Viewer", "true", "true"),
        ("CloudFront-Is-Desktop-Viewer", "false", "false"),
        ("CloudFront-Is-Tablet-Viewer", "false", "false"),
        ("CloudFront-Is-SmartTV-Viewer", "false", "false"),
        ("CloudFront-Is-Android-Viewer", "false", "false"),
        ("CloudFront-Viewer-Address", "192.0.2.7:4000", "2001:db8::1:5000"),
        ("CloudFront-Forwarded-Proto", "http", "https"),
        ("CloudFront-Viewer-Http-Version", "1.1", "1.1"),
        ("CloudFront-Viewer-TLS", None, "TLSv1.3:TLS_AES_128_GCM_SHA256:fullHandshake"),
        ("CloudFront-Viewer-Header-Order", "Host:User-Agent:accept", "Host:User-Agent:accept"),
        ("CloudFront-Viewer-Header-Count", "3", "3"),
        ("CloudFront-Viewer-Country", None, "CH"),
        ("CloudFront-Viewer-Country-Name", None, "Switzerland"),
        ("CloudFront-Viewer-Country-Region", None, "ZH"),
        ("CloudFront-Viewer-Country-Region-Name", None, "Z%C3%BCrich"),
        ("CloudFront-Viewer-City", None, "Z%C3%BCrich"),
        ("CloudFront-Viewer-Postal-Code", None, "8001"),
        ("CloudFront-Viewer-Latitude", None, "47.36670"),
        ("CloudFront-Viewer-Longitude", None, "8.55000"),
        ("CloudFront-Viewer-Metro-Code", None, None),
        ("CloudFront-Viewer-Time-Zone", None, "Europe/Zurich"),
        ("CloudFront-Viewer-ASN", None, "559"),
    ],
)
def test_each_header_says_what_is_seen_and_nothing_where_nothing_is_known(name, plain, secure):
    assert CANONICAL[name.lower()] == name
    assert (value(name, PLAIN), value(name, SECURE)) == (plain, secure)


def test_what_the_viewer_made_up_goes_even_where_nothing_is_known():
    asked = Headers([("cloudfront-viewer-country", "XX"), ("CloudFront-Viewer-TLS", "x"), ("CloudFront-Mine", "1")])
    assert list(with_edge_headers(asked, ("CloudFront-Viewer-Country",), PLAIN)) == [("CloudFront-Mine", "1")]
    assert list(with_edge_headers(asked, ("CloudFront-Viewer-Country",), SECURE)) == [
        ("CloudFront-Mine", "1"),
        ("CloudFront-Viewer-Country", "CH"),
    ]
    assert is_edge_header("cloudfront-viewer-ja3-fingerprint")


def test_the_order_of_headers_is_cut_off_where_aws_does():
    many = Seen(PLAIN.viewer, Headers([("X" * 100, "")] * 100))
    assert len(value("CloudFront-Viewer-Header-Order", many)) == MAX_HEADER_ORDER


def test_a_route_wants_what_it_adds_and_what_is_in_its_key():
    route = RouteSettings(
        "*",
        "o",
        cache=CachePolicy(headers=("host", "cloudfront-viewer-country")),
        forwarding=Forwarding(added=("CloudFront-Viewer-Address", "CloudFront-Viewer-Country")),
    )
    assert wanted(route) == ("CloudFront-Viewer-Address", "CloudFront-Viewer-Country")
    assert wanted(RouteSettings("*", "o", cache=route.cache)) == ("CloudFront-Viewer-Country",)
