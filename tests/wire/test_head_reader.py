"""A connection's head reader: fields that come again to the letter are not read again, and nothing else is."""

from dataclasses import replace

import pytest

from edgefn.model.errors import BadRequestError
from edgefn.model.settings import ViewerLimits
from edgefn.wire.viewer_head import HeadReader

LIMITS = ViewerLimits()
FIELDS = b"Host: a.example\r\nAccept: */*\r\n"


def head(line: bytes = b"GET /one HTTP/1.1", fields: bytes = FIELDS) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def test_fields_that_come_again_are_the_same_headers_below_another_path():
    reader = HeadReader()
    first = reader.read(head(), LIMITS)
    second = reader.read(head(b"POST /two?q HTTP/1.1"), LIMITS)
    assert (second.method, second.path, second.query) == ("POST", "/two", "q")
    assert second.headers is first.headers


@pytest.mark.parametrize("other", [b"Host: b.example\r\nAccept: */*\r\n", b"Host: a.example\r\naccept: */*\r\n", b""])
def test_fields_that_differ_in_a_letter_are_read(other: bytes):
    reader = HeadReader()
    reader.read(head(), LIMITS)
    line = b"GET / HTTP/1.1" if other else b"GET / HTTP/1.0"
    assert reader.read(head(line, other), LIMITS) == HeadReader().read(head(line, other), LIMITS)


def test_the_same_fields_are_judged_anew_in_another_version():
    reader = HeadReader()
    chunked = FIELDS + b"Transfer-Encoding: chunked\r\n"
    assert reader.read(head(fields=chunked), LIMITS).length is None
    with pytest.raises(BadRequestError, match=r"Transfer-Encoding in HTTP/1\.0"):
        reader.read(head(b"GET / HTTP/1.0", chunked), LIMITS)
    assert reader.read(head(), LIMITS).keep_alive
    assert not reader.read(head(b"GET / HTTP/1.0"), LIMITS).keep_alive


def test_the_same_fields_are_judged_anew_by_other_limits():
    reader = HeadReader()
    reader.read(head(), LIMITS)
    with pytest.raises(BadRequestError) as refused:
        reader.read(head(), replace(LIMITS, headers_count=1))
    assert refused.value.status == 494


def test_what_was_refused_is_refused_again_and_leaves_nothing_behind():
    reader = HeadReader()
    good = reader.read(head(), LIMITS)
    for _ in range(2):
        with pytest.raises(BadRequestError, match="Host is given more than once"):
            reader.read(head(fields=FIELDS + b"Host: b.example\r\n"), LIMITS)
    assert reader.read(head(), LIMITS) == good


def test_the_host_of_an_absolute_target_is_that_requests_alone():
    reader = HeadReader()
    assert reader.read(head(b"GET http://b.example/ HTTP/1.1"), LIMITS).headers.get("host") == "b.example"
    assert reader.read(head(), LIMITS).headers.get("host") == "a.example"


def test_large_fields_are_not_kept():
    reader = HeadReader()
    large = FIELDS + b"X-Large: " + b"x" * 4_096 + b"\r\n"
    first, second = reader.read(head(fields=large), LIMITS), reader.read(head(fields=large), LIMITS)
    assert first == second
    assert first.headers is not second.headers


@pytest.mark.parametrize(
    "fields", [b"Host: a\r\n b\r\n", b"Host: a\r\nA b: c\r\n", b"Host: a\r\n: c\r\n", b"\x00: a\r\n"]
)
def test_malformed_fields_are_refused_behind_good_ones(fields: bytes):
    reader = HeadReader()
    reader.read(head(), LIMITS)
    with pytest.raises(BadRequestError) as refused:
        reader.read(head(fields=fields), LIMITS)
    assert refused.value.status == 400
