"""Messages that two parsers could read in two ways: each is refused, and nothing behind it is ever served."""

import asyncio

import pytest

from edgefn.model.settings import ViewerLimits
from edgefn.wire.connections import Connections
from edgefn.wire.inbound import Inbound
from tests.fakes.front import FakeApplication, FakeTransport, echo, said, serving

HIDDEN = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"


def post(*lines: str, body: str = "") -> str:
    return "POST / HTTP/1.1\r\nHost: h\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n" + body


def get(*lines: str, target: str = "/", host: str = "Host: h\r\n") -> str:
    return f"GET {target} HTTP/1.1\r\n{host}" + "".join(f"{line}\r\n" for line in lines) + "\r\n"


REFUSED_HEADS = {
    "two different lengths": (400, post("Content-Length: 1", "Content-Length: 2", body="ab")),
    "the same length twice": (400, post("Content-Length: 1", "Content-Length: 1", body="a")),
    "a list of equal lengths": (400, post("Content-Length: 1, 1", body="a")),
    "a signed length": (400, post("Content-Length: +1", body="a")),
    "a negative length": (400, post("Content-Length: -1")),
    "a hexadecimal length": (400, post("Content-Length: 0x1", body="a")),
    "a length with a blank inside": (400, post("Content-Length: 1 1", body="a")),
    "an empty length": (400, post("Content-Length:")),
    "a superscript digit": (400, post("Content-Length: \xb2", body="ab")),
    "an underscore in a length": (400, post("Content-Length: 1_0", body="a")),
    "length after a no-break space": (400, post("Content-Length: \xa01", body="a")),
    "length and chunked": (400, post("Content-Length: 3", "Transfer-Encoding: chunked", body="0\r\n\r\n")),
    "chunked and length": (400, post("Transfer-Encoding: chunked", "Content-Length: 3", body="0\r\n\r\n")),
    "chunked twice in lines": (400, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "chunked twice in a line": (400, post("Transfer-Encoding: chunked, chunked")),
    "chunked not last": (400, post("Transfer-Encoding: chunked, gzip")),
    "identity": (400, post("Transfer-Encoding: identity")),
    "an unknown coding": (400, post("Transfer-Encoding: xchunked")),
    "a quoted coding": (400, post('Transfer-Encoding: "chunked"')),
    "a coding with parameters": (400, post("Transfer-Encoding: chunked;q=1")),
    "a coding and a comma": (400, post("Transfer-Encoding: chunked,")),
    "an empty coding": (400, post("Transfer-Encoding:")),
    "a coding behind a vertical tab": (400, post("Transfer-Encoding: \x0bchunked")),
    "a coding behind a no-break space": (400, post("Transfer-Encoding: \xa0chunked")),
    "a known other coding": (501, post("Transfer-Encoding: gzip, chunked")),
    "chunked in HTTP/1.0": (400, "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a folded line": (400, get("X: a", " b")),
    "a line folded by a tab": (400, get("X: a", "\tb")),
    "a folded coding": (400, post("Transfer-Encoding:", " chunked")),
    "a blank before the first field": (400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    "a blank before the colon": (400, get("X : a")),
    "a blank before the colon of a coding": (400, post("Transfer-Encoding : chunked")),
    "a tab before the colon": (400, get("X\t: a")),
    "an empty name": (400, get(": a")),
    "a line without colon": (400, get("X")),
    "a name that is no token": (400, get("X(a): b")),
    "a name beyond ASCII": (400, get("X\xe9: b")),
    "NUL in a value": (400, get("X: a\0b")),
    "NUL in a name": (400, get("X\0: b")),
    "a control character in a value": (400, get("X: a\x01b")),
    "DEL in a value": (400, get("X: a\x7fb")),
    "a bare CR in a value": (400, get("X: a\rb")),
    "a bare CR that hides a field": (400, get("X: a\rTransfer-Encoding: chunked")),
    "a bare LF in a value": (400, get("X: a\nY: b")),
    "a bare LF after the request line": (400, "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    "bare LFs only": (400, "GET / HTTP/1.1\nHost: h\n\n"),
    "a bare LF at the end": (400, "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    "CR CR LF": (400, "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
    "a bare LF before the request": (400, "\n" + get()),
    "a bare CR before the request": (400, "\r" + get()),
    "a blank before the request": (400, " " + get()),
    "no Host": (400, get(host="")),
    "two Hosts": (400, get("Host: h")),
    "an empty Host": (400, get(host="Host:\r\n")),
    "a list of Hosts": (400, get(host="Host: a,b\r\n")),
    "two words as Host": (400, get(host="Host: a b\r\n")),
    "a Host with a path": (400, get(host="Host: a/b\r\n")),
    "a Host with a user": (400, get(host="Host: a@b\r\n")),
    "a Host with a bad port": (400, get(host="Host: a:b\r\n")),
    "two Hosts in HTTP/1.0": (400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a method that is no token": (400, "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "an empty method": (400, " / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "no target": (400, "GET HTTP/1.1\r\nHost: h\r\n\r\n"),
    "an empty target": (400, "GET  HTTP/1.1\r\nHost: h\r\n\r\n"),
    "two blanks before the version": (400, "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
    "a blank after the version": (400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    "a blank in the target": (400, get(target="/a b")),
    "a tab in the target": (400, get(target="/a\tb")),
    "NUL in the target": (400, get(target="/a\0b")),
    "DEL in the target": (400, get(target="/a\x7fb")),
    "a fragment": (400, get(target="/a#b")),
    "a relative target": (400, get(target="a")),
    "another scheme": (400, get(target="ftp://h/")),
    "a user in the target": (400, get(target="http://u@h/")),
    "no authority in the target": (400, get(target="http:///a")),
    "an asterisk for GET": (400, get(target="*")),
    "an authority for GET": (400, get(target="h:80")),
    "CONNECT": (501, "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),
    "the preface of HTTP/2": (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    "HTTP/2.0": (505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    "HTTP/0.9": (400, "GET /\r\n\r\n"),
    "a version of two digits": (400, "GET / HTTP/1.10\r\nHost: h\r\n\r\n"),
    "a small http": (400, "GET / http/1.1\r\nHost: h\r\n\r\n"),
    "another protocol": (400, "GET / ICAP/1.0\r\nHost: h\r\n\r\n"),
    "a TLS hello": (400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "another expectation": (417, post("Expect: a-miracle", "Content-Length: 1", body="a")),
}

REFUSED_CHUNKS = {
    "no size": "\r\na\r\n0\r\n\r\n",
    "a size that is no number": "g\r\na\r\n0\r\n\r\n",
    "a signed size": "+1\r\na\r\n0\r\n\r\n",
    "a size with 0x": "0x1\r\na\r\n0\r\n\r\n",
    "an underscore in a size": "1_0\r\na\r\n0\r\n\r\n",
    "a blank before the size": " 1\r\na\r\n0\r\n\r\n",
    "a blank after the size": "1 \r\na\r\n0\r\n\r\n",
    "a size that wraps around": "10000000000000001\r\na\r\n0\r\n\r\n",
    "a size ended by LF": "1\na\r\n0\r\n\r\n",
    "a size ended by CR": "1\ra\r\n0\r\n\r\n",
    "NUL in an extension": "1;a\0\r\na\r\n0\r\n\r\n",
    "a bare CR in an extension": "1;a\rb\r\na\r\n0\r\n\r\n",
    "a bare LF in an extension": "1;a\nb\r\na\r\n0\r\n\r\n",
    "an endless extension": "1;" + "a" * 70_000 + "\r\na\r\n0\r\n\r\n",
    "data longer than its size": "1\r\nab\r\n0\r\n\r\n",
    "data ended by LF": "1\r\na\n0\r\n\r\n",
    "a length among the trailers": "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a coding among the trailers": "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a control character in a trailer": "1\r\na\r\n0\r\nX: \x01\r\n\r\n",
    "a folded trailer": "1\r\na\r\n0\r\nX: a\r\n b\r\n\r\n",
    "endless trailers": "1\r\na\r\n0\r\n" + "X: abcdefgh\r\n" * 1_000 + "\r\n",
    "mostly extensions": "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n" * 4_000 + "0\r\n\r\n",
}


@pytest.mark.parametrize(("status", "sent"), REFUSED_HEADS.values(), ids=REFUSED_HEADS.keys())
async def test_a_doubtful_head_is_refused_and_the_connection_closed(status: int, sent: str) -> None:
    async with serving() as front, front.viewer() as viewer:
        await viewer.send(sent + HIDDEN)
        reply = await viewer.reply()
        assert reply.status == status, reply
        assert reply.field("connection") == "close"
        assert await viewer.rest() == b""
        assert front.application.asked == []
        (told,) = front.application.told
        assert (told.request, told.status, told.complete) == (None, status, True)


@pytest.mark.parametrize(("status", "sent"), REFUSED_HEADS.values(), ids=REFUSED_HEADS.keys())
async def test_it_is_refused_as_well_when_it_comes_byte_by_byte(status: int, sent: str) -> None:
    application, written = feed([bytes([byte]) for byte in (sent + HIDDEN).encode("latin-1")])
    assert written.startswith(b"HTTP/1.1 %d " % status)
    assert application.asked == []


@pytest.mark.parametrize("sent", REFUSED_CHUNKS.values(), ids=REFUSED_CHUNKS.keys())
async def test_a_doubtful_chunked_body_fails_and_nothing_behind_it_is_served(sent: str) -> None:
    application = FakeApplication(answering=echo)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send(post("Transfer-Encoding: chunked", body=sent) + HIDDEN)
        reply = await viewer.reply()
        assert reply.status == 400, reply
        await viewer.rest()
        assert len(application.asked) == 1


def feed(pieces: list[bytes], application: FakeApplication | None = None) -> tuple[FakeApplication, bytes]:
    application = application or FakeApplication(at_once=lambda request: said(request.target))
    transport = FakeTransport()
    inbound = Inbound(application, ViewerLimits(), Connections())
    inbound.connection_made(transport)
    for piece in pieces:
        inbound.data_received(piece)
    inbound.connection_lost(None)
    return application, transport.written


GOOD = (
    b"\r\nPROPFIND /a?b=c HTTP/1.1\r\nHost: h:80\r\nX-A: \t b \t\r\nContent-Length: 3\r\n\r\nabc"
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n"
)


async def test_a_good_conversation_is_read_alike_wherever_it_is_split() -> None:
    whole, written = feed([GOOD])
    assert [request.target for request in whole.asked] == ["/a?b=c", "/", "*"]
    for at in range(1, len(GOOD)):
        split, split_written = feed([GOOD[:at], GOOD[at:]])
        assert split_written == written, at
        assert [(r.method, r.target, r.headers) for r in split.asked] == [
            (r.method, r.target, r.headers) for r in whole.asked
        ]
    one_by_one, trickled = feed([bytes([byte]) for byte in GOOD])
    assert (trickled, len(one_by_one.asked)) == (written, 3)


CHUNKED = b"3;a=b\r\nabc\r\n0A\r\n0123456789\r\n000\r\nX-T: t\r\n\r\n"


async def test_a_chunked_body_is_read_alike_wherever_it_is_split() -> None:
    application = FakeApplication(answering=echo)
    head = post("Transfer-Encoding: Chunked").encode()
    async with serving(application) as front, front.viewer() as viewer:
        for at in range(len(CHUNKED)):
            await viewer.send(head + CHUNKED[:at])
            await asyncio.sleep(0)
            await viewer.send(CHUNKED[at:])
            reply = await viewer.reply()
            assert reply.body == b"POST / abc0123456789 [('X-T', 't')]", at
        await viewer.trickle(head + CHUNKED + HIDDEN.encode())
        assert (await viewer.reply()).body == b"POST / abc0123456789 [('X-T', 't')]"
        assert (await viewer.reply()).body == b"GET /hidden  []"
