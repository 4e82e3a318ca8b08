"""What is left of a request without the fields that matter to nobody here."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.errors import BadRequestError
from edgefn.model.settings import ViewerLimits
from edgefn.wire.essence import Essences
from edgefn.wire.viewer_head import HeadReader

LIMITS = ViewerLimits(headers_size=1024, headers_count=8)
ESSENCES = Essences({"host", "x-one", "connection"}, LIMITS)
LINE = b"GET /a HTTP/1.1\r\n"


def head(*lines: bytes) -> bytes:
    return LINE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ((b"Host: a",), b"\r\nHost: a"),
        ((b"User-Agent: x", b"Host: a", b"Cookie: a=b"), b"\r\nHost: a"),
        ((b"hOST: a", b"X-ONE:1", b"x-one: \xff2 "), b"\r\nhOST: a\r\nX-ONE:1\r\nx-one: \xff2 "),
        ((b"Host: a", b"X-Onerous: 1", b"An-X-One: 2", b"Cookie: X-One: 3"), b"\r\nHost: a"),
        ((b"X-One:", b"Host: a", b"Host: b"), b"\r\nX-One:\r\nHost: a\r\nHost: b"),
        ((), b""),
    ],
)
def test_the_request_line_and_the_telling_lines_stay_as_they_stand(lines: tuple[bytes, ...], left: bytes) -> None:
    assert ESSENCES.of(head(*lines)) == LINE[:-2] + left


@pytest.mark.parametrize(
    "block",
    [
        head(b"Host: a", b"Cookie : b"),
        head(b"Host: a", b" folded"),
        head(b"Host: a", b"\tfolded"),
        head(b"Host: a", b"No colon"),
        head(b"Host: a", b": no name"),
        head(b"Host: a", b"Cookie: a\0"),
        head(b"Host: a", b"Cookie: a\nX-One: 1"),
        head(b"Host: a", b"Cookie: a\rX-One: 1"),
        head(b"Host: a")[:-2],
        head(b"Host: a") + b"\r\n",
        head(b"Host: a") + b"GET /b",
        head(*[b"Host: a"] * 9),
        head(b"Host: a", b"Cookie: " + b"a" * 1024),
        b"",
    ],
)
def test_what_is_no_good_head_has_no_essence(block: bytes) -> None:
    assert ESSENCES.of(block) is None


def test_as_many_lines_as_are_allowed_may_come() -> None:
    lines = (b"Host: a", *[b"A: b"] * 7)
    assert ESSENCES.of(head(*lines)) == LINE[:-2] + b"\r\nHost: a"
    assert Essences({"host"}, replace(LIMITS, headers_count=7)).of(head(*lines)) is None


PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b"Host: a", b"host: b", b"X-One: 1", b"x-One:",
     b"Cookie: c", b"A", b"Transfer-Encoding: chunked", b"Connection: close", b"A: b\r\n", b"Content-Length: 1",
     b"\r\nB: c\r\n"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_what_has_the_essence_of_a_good_request_is_good_and_asks_for_the_same(pieces: list[bytes]) -> None:
    telling = Essences({"host", "connection", "content-length", "expect", "transfer-encoding"}, LIMITS)
    good = head(b"Host: a", b"Cookie: c")
    block = LINE + b"".join(pieces) + b"\r\n\r\n"
    try:
        asked = HeadReader().read(block, LIMITS)
    except BadRequestError:
        assert telling.of(block) != telling.of(good)
        return
    assert telling.of(block) is not None
    if telling.of(block) == telling.of(good):
        usual = HeadReader().read(good, LIMITS)
        assert asked._replace(headers=usual.headers) == usual
        assert asked.headers.get_all("host") == ("a",)
