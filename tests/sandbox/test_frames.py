"""Frames and what they say, whatever the pieces in which they come."""

import struct
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.sandbox.base import Code
from edgefn.sandbox.process.frames import (
    HEADER_LIMIT,
    RESULT_LIMIT,
    Frame,
    FrameError,
    FrameReader,
    OversizeError,
    encoded,
)
from edgefn.sandbox.process.messages import Fault, Result, Taken, init_header, invoke_header, is_ready, read_reply

CODE = Code("f", "1", "arn", "/nowhere", "nodejs20.x", "index.handler", 5.0, 128, {"A": "1"})


def read(pieces: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    return [frame for piece in pieces if (frame := reader.feed(piece)) is not None]


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(0, 620), max_size=8))
def test_a_frame_is_put_together_from_any_pieces(header: bytes, body: bytes, cuts: list[int]) -> None:
    data = encoded(header, body)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges) if start < end]
    assert read(pieces) == [Frame(header, body)]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_any_bytes_give_frames_or_an_error(pieces: list[bytes]) -> None:
    try:
        frames = read(pieces)
    except FrameError:
        return
    assert all(isinstance(frame, Frame) for frame in frames)


def test_a_reader_takes_one_frame_after_the_other() -> None:
    assert read([encoded(b"a", b"1"), encoded(b"b"), encoded(b"", b"")]) == [Frame(b"a", b"1"), Frame(b"b"), Frame(b"")]


def test_frames_up_to_the_limits_get_through() -> None:
    frame = Frame(bytes(HEADER_LIMIT), bytes(RESULT_LIMIT))
    assert read([encoded(frame.header, frame.body)]) == [frame]


@pytest.mark.parametrize(
    ("header", "body", "error"),
    [
        (HEADER_LIMIT + 1, 0, FrameError),
        (0xFFFFFFFF, 0, FrameError),
        (0, RESULT_LIMIT + 1, OversizeError),
        (0, 0xFFFFFFFF, OversizeError),
    ],
)
def test_lengths_beyond_the_limits_are_refused_before_their_bytes_come(
    header: int, body: int, error: type[FrameError]
) -> None:
    with pytest.raises(error):
        FrameReader().feed(struct.pack("<II", header, body))
    with pytest.raises(error):
        read([piece.to_bytes(1, "big") for piece in struct.pack("<II", header, body)])


def test_bytes_behind_a_frame_are_refused() -> None:
    with pytest.raises(FrameError, match="behind the end"):
        FrameReader().feed(encoded(b"{}") + b"x")


def test_an_event_is_embedded_as_the_text_that_it_is() -> None:
    event = b'{"b": 1.50, "a":\t"\xc3\xa9"}'
    header = invoke_header('i"d', 1.2345, event)
    assert event in header
    assert orjson.loads(header) == {"invoke": {"id": 'i"d', "remaining": 1234}, "event": {"b": 1.5, "a": "é"}}


def test_an_init_tells_the_worker_who_it_is() -> None:
    init = orjson.loads(init_header(CODE, {"A": "1"}, "token"))["init"]
    assert init["id"] == "token"
    assert init["handler"] == "index.handler"
    assert init["environment"] == {"A": "1"}


def test_only_the_ready_frame_is_ready() -> None:
    assert is_ready(Frame(b'{"ready":true}'))
    assert not is_ready(Frame(b'{"ready":true}', b"x"))
    assert not is_ready(Frame(b"{}"))


def test_replies_are_read() -> None:
    ok = Frame(b'{"id":"i","ok":true,"cpu":0.5,"memory":1024,"waited":false}', b"[1]")
    assert read_reply(ok, "i") == Result(b"[1]", Taken(0.5, 1024, waited=False))
    error = Frame(b'{"id":"i","error":{"type":"T","message":"m","trace":["a",1,"b"]},"fatal":true}')
    assert read_reply(error, "i") == Fault("T", "m", ("a", "b"), True, Taken())


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"[" * 2000, "not JSON"),
        (b"[]", "not an object"),
        (b'{"ok":true}', "another request"),
        (b'{"id":"other","ok":true}', "another request"),
        (b'{"id":["i"],"ok":true}', "another request"),
        (b'{"id":"i"}', "no reply"),
        (b'{"id":"i","ok":1}', "no reply"),
        (b'{"id":"i","error":{"type":"T"}}', "no reply"),
        (b'{"id":"i","error":{"type":1,"message":"m","trace":[]}}', "no reply"),
    ],
)
def test_anything_else_is_no_reply(header: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        read_reply(Frame(header), "i")


@given(st.binary(max_size=100))
def test_no_header_raises_anything_but_a_frame_error(header: bytes) -> None:
    try:
        reply = read_reply(Frame(header), "i")
    except FrameError:
        return
    assert isinstance(reply, Result | Fault)


@pytest.mark.parametrize("claim", [b"-1", b"1e400", b'"x"', b"null", b"[]", b"99999999999999999999"])
def test_claims_beyond_reason_count_as_nothing(claim: bytes) -> None:
    header = b'{"id":"i","ok":true,"cpu":%b,"memory":%b}' % (claim, claim)
    try:
        reply = read_reply(Frame(header), "i")
    except FrameError:
        assert claim == b"1e400"
        return
    assert reply == Result(b"", Taken())
