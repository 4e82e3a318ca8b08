"""An origin's bytes become responses, however they are cut: no sockets here."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.errors import OriginFailure
from edgefn.model.headers import Headers
from edgefn.wire.dechunking import Dechunker
from edgefn.wire.response_head import BrokenResponseError, ResponseHead, keeps_alive, read_head
from edgefn.wire.response_reader import ResponseReader


class Notes:
    """Writes down what a reader finds: `told` is the story, `content` the body."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.content = b""

    def interim(self, head: ResponseHead) -> None:
        self.told.append(("interim", head.status, tuple(head.headers)))

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        self.told.append(("switched", head.status, rest))

    def whole(self, head: ResponseHead, content: bytes, *, reusable: bool) -> None:
        self.began(head, len(content))
        self.came(content)
        self.ended(Headers(), reusable=reusable)

    def began(self, head: ResponseHead, length: int | None) -> None:
        self.told.append(("final", head.status, head.reason, tuple(head.headers)))

    def came(self, content: bytes) -> None:
        self.content += content

    def ended(self, trailers: Headers, *, reusable: bool) -> None:
        self.told.append(("end", tuple(trailers), reusable))


def read(*pieces: bytes, method: str = "GET", bound: int = 65_536) -> Notes:
    notes = Notes()
    reader = ResponseReader(notes, bound)
    reader.expect(method)
    for piece in pieces:
        reader.feed(piece)
    return notes


def ending(notes: Notes) -> object:
    return notes.told[-1]


def refused(*pieces: bytes, bound: int = 65_536) -> BrokenResponseError:
    with pytest.raises(BrokenResponseError) as caught:
        read(*pieces, bound=bound)
    return caught.value


CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 All right\r\nX-Twice: 1\r\nx-twice: 2\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b'4\r\nWiki\r\nA;name="v"\r\npedia or s\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n'
)
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Bytes: \xe4\xff\r\n\r\nhello world"


@pytest.mark.parametrize("wire", [CHUNKED, COUNTED], ids=["chunked", "counted"])
@given(cuts=st.lists(st.integers(0, 200), max_size=12))
def test_however_the_bytes_are_cut_the_response_is_the_same(wire: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(places) if start < end]
    whole, cut = read(wire), read(*pieces)
    assert cut.told == whole.told
    assert cut.content == whole.content


def test_a_response_byte_by_byte() -> None:
    notes = read(*[CHUNKED[at : at + 1] for at in range(len(CHUNKED))])
    assert notes.told == [
        ("interim", 103, (("Link", "</a>"),)),
        ("final", 200, "All right", (("X-Twice", "1"), ("x-twice", "2"), ("Transfer-Encoding", "Chunked"))),
        ("end", (("X-Sum", "1"), ("X-Sum", "2")), True),
    ]
    assert notes.content == b"Wikipedia or s"


@given(content=st.binary(max_size=400), sizes=st.lists(st.integers(1, 50), min_size=1), cut=st.integers(1, 40))
def test_the_chunked_coding_comes_off_whatever_the_chunks(content: bytes, sizes: list[int], cut: int) -> None:
    wire, at = b"", 0
    while at < len(content):
        size = sizes[at % len(sizes)]
        wire += b"%X\r\n%b\r\n" % (len(content[at : at + size]), content[at : at + size])
        at += size
    wire += b"0\r\n\r\n"
    decoder = Dechunker(1000)
    decoded = b""
    for place in range(0, len(wire), cut):
        decoded += decoder.feed(wire[place : place + cut])
    assert decoder.done
    assert decoded == content


@pytest.mark.parametrize(
    ("head", "framing"),
    [
        (b"Content-Length: 5\r\nContent-Length: 5", "more than once"),
        (b"Content-Length: 5\r\nContent-Length: 6", "more than once"),
        (b"Content-Length: 5, 5", "not a number"),
        (b"Content-Length: -5", "not a number"),
        (b"Content-Length: +5", "not a number"),
        (b"Content-Length: 0x5", "not a number"),
        (b"Content-Length: \xb2", "not a number"),
        (b"Content-Length:", "not a number"),
        (b"Content-Length: 9999999999999999999", "not a number"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", "both"),
        (b"Transfer-Encoding: gzip", "not chunked"),
        (b"Transfer-Encoding: gzip, chunked", "not chunked"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "not chunked"),
        (b"Transfer-Encoding: xchunked", "not chunked"),
        (b"Transfer-Encoding:", "not chunked"),
    ],
)
def test_framing_that_could_hide_a_response_is_refused(head: bytes, framing: str) -> None:
    broken = refused(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nhello")
    assert broken.failure is OriginFailure.INVALID_RESPONSE
    assert framing in broken.why


def test_chunks_from_http_1_0_are_refused() -> None:
    assert "HTTP/1.0" in refused(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").why


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>HTTP/0.9 says hello</html>",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 600 Odd\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\x002\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n\tfolded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo Token: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\x00\r\n\r\n",
    ],
)
def test_what_is_not_http_1_is_refused(wire: bytes) -> None:
    assert refused(wire).failure is OriginFailure.INVALID_RESPONSE


def test_a_space_before_the_colon_is_removed_and_so_is_space_around_a_value() -> None:
    head = read_head(b"HTTP/1.1 200 OK\r\nFoo : bar \t\r\nBaz:\t qux\r\nEmpty: \r\n")
    assert list(head.headers) == [("Foo", "bar"), ("Baz", "qux"), ("Empty", "")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 299 Fine by me ", "Fine by me "),
        (b"HTTP/1.1 299", ""),
        (b"HTTP/1.1 299 ", ""),
        (b"HTTP/1.1 299 \xfc", "ü"),
    ],
)
def test_the_reason_is_taken_as_it_is(line: bytes, reason: str) -> None:
    assert read_head(line + b"\r\n").reason == reason


@pytest.mark.parametrize(
    "chunks",
    [
        b"g\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n",
        b"5;a\x00b\r\nhello\r\n",
        b"ffffffffffffffff\r\n",
        b"5;" + b"x" * 5000,
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nA: 1\r\n folded\r\n\r\n",
    ],
)
def test_broken_chunks_are_refused(chunks: bytes) -> None:
    broken = refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)
    assert broken.failure is OriginFailure.INVALID_RESPONSE


def test_heads_and_trailers_have_a_bound() -> None:
    long = b"X: " + b"x" * 100
    whole = b"HTTP/1.1 200 OK\r\n" + long + b"\r\n\r\n"
    trailing = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + long
    for pieces in ([whole], [whole[:90], whole[90:]], [trailing, b"\r\n\r\n"], [trailing + b"\r\n\r\n"]):
        assert refused(*pieces, bound=80).failure is OriginFailure.HEADER_TOO_BIG
    assert ending(read(whole[:-4] + b"\r\nContent-Length: 0\r\n\r\n", bound=200)) == ("end", (), True)


def test_interims_without_end_are_refused() -> None:
    assert "no end" in refused(b"HTTP/1.1 102 Processing\r\n\r\n" * 101).why


@pytest.mark.parametrize("status", [b"200 OK", b"204 None", b"304 Same"])
@pytest.mark.parametrize("lines", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_no_body_follows_where_none_may(status: bytes, lines: bytes) -> None:
    method = "HEAD" if status.startswith(b"200") else "GET"
    assert ending(read(b"HTTP/1.1 " + status + b"\r\n" + lines + b"\r\n", method=method)) == ("end", (), True)


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", b"x"])
@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ],
)
def test_bytes_too_many_leave_the_response_but_spoil_the_connection(wire: bytes, surplus: bytes) -> None:
    assert ending(read(wire)) == ("end", (), True)
    assert ending(read(wire + surplus)) == ("end", (), False)
    split = wire.find(b"\r\n\r\n") + 4
    if wire[split:]:
        assert ending(read(wire[:split], wire[split:] + surplus)) == ("end", (), False)


@pytest.mark.parametrize(
    ("head", "lives"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Foo, CLOSE\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: foo\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n", False),
    ],
)
def test_what_keeps_a_connection_alive(head: bytes, lives: bool) -> None:
    assert keeps_alive(read_head(head)) is lives
