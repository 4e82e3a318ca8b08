"""What a function prints becomes harmless lines, within a budget."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.sandbox.process.output import BUDGET, CUT, LINE_COST, LINE_LIMIT, Lines, Output, printable


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"plain\ttabbed", "plain\ttabbed"),
        ("é \U0001f600".encode(), "é \U0001f600"),
        (b"a\rb", "a\\rb"),
        (b"\x1b[31m\x00\x07\x7f", "\\x1b[31m\\x00\\x07\\x7f"),
        ("\x85\u2028\u2029".encode(), "\\x85\\u2028\\u2029"),
        (b"\xff\xfe", "��"),
    ],
)
def test_control_characters_are_shown_not_sent(line: bytes, text: str) -> None:
    assert printable(line) == text


@given(st.binary(max_size=200))
def test_no_line_has_a_line_end_in_it(line: bytes) -> None:
    assert len(printable(line).splitlines()) <= 1


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_lines_do_not_depend_on_the_pieces_they_come_in(pieces: list[bytes]) -> None:
    one, many = Lines(), Lines()
    whole = [*one.feed(b"".join(pieces)), *one.flush()]
    assert [line for piece in pieces for line in many.feed(piece)] + many.flush() == whole


def test_a_long_line_is_cut_between_characters() -> None:
    lines = Lines()
    text = "x" + "é" * LINE_LIMIT
    told = lines.feed(text.encode()) + lines.flush()
    assert "".join(told) == text
    assert all(len(line.encode()) <= LINE_LIMIT for line in told)


def test_windows_line_ends_are_line_ends() -> None:
    assert Lines().feed(b"a\r\nb\n") == ["a", "b"]


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.lines: list[tuple[str, str]] = []
        self.output = Output(asyncio.get_running_loop(), self.reader, lambda id_, text: self.lines.append((id_, text)))

    def write(self, data: bytes) -> int:
        return os.write(self.writer, data)

    def fill(self) -> int:
        written = 0
        while True:
            try:
                written += self.write(b"x" * 1023 + b"\n")
            except BlockingIOError:
                return written


@pytest.fixture
async def pipe() -> "Iterator[Pipe]":  # type: ignore[misc]
    made = Pipe()
    yield made
    made.output.close()
    os.close(made.writer)


async def test_what_is_in_the_pipe_is_there_when_a_call_ends(pipe: Pipe) -> None:
    pipe.output.begin("one")
    pipe.write(b"first\nsecond")
    pipe.output.finish()
    pipe.output.begin("two")
    pipe.write(b"third\n")
    pipe.output.finish()
    assert pipe.lines == [("one", "first"), ("one", "second"), ("two", "third")]


async def test_output_arrives_while_a_call_runs(pipe: Pipe) -> None:
    pipe.output.begin("one")
    pipe.write(b"early\n")
    async with asyncio.timeout(5):
        while not pipe.lines:  # noqa: ASYNC110  # the loop reads the pipe by itself
            await asyncio.sleep(0)
    assert pipe.lines == [("one", "early")]


async def test_what_is_beyond_the_budget_is_thrown_away_at_a_pace(pipe: Pipe) -> None:
    pipe.output.begin("one")
    total = 0
    async with asyncio.timeout(5):
        while ("one", CUT) not in pipe.lines:
            total += pipe.fill()
            await asyncio.sleep(0)
    for _ in range(5):
        total += pipe.fill()
        await asyncio.sleep(0)
    assert total < BUDGET + 500_000
    assert BUDGET * 0.9 < sum(len(text) + 1 for _, text in pipe.lines if text != CUT) <= BUDGET
    async with asyncio.timeout(30):
        while total < BUDGET + 2_000_000:
            total += pipe.fill()
            await asyncio.sleep(0.001)
    pipe.output.finish()
    pipe.output.begin("two")
    pipe.write(b"again\n")
    pipe.output.finish()
    assert pipe.lines[-2:] == [("one", CUT), ("two", "again")]


async def test_empty_lines_are_not_free(pipe: Pipe) -> None:
    pipe.output.begin("one")
    pipe.write(b"\n" * 60_000)
    pipe.output.finish()
    assert len(pipe.lines) <= BUDGET / LINE_COST + 2
    assert pipe.lines[-1] == ("one", CUT)


async def test_a_pipe_that_was_closed_inside_is_left_alone(pipe: Pipe) -> None:
    os.close(pipe.writer)
    await asyncio.sleep(0.01)
    pipe.output.begin("one")
    pipe.output.finish()
    pipe.writer = os.open("/dev/null", os.O_WRONLY)
    assert pipe.lines == []


async def test_closing_takes_the_last_words_and_is_harmless_when_repeated(pipe: Pipe) -> None:
    pipe.output.begin("one")
    pipe.write(b"last words")
    pipe.output.close()
    pipe.output.close()
    pipe.output.finish()
    pipe.output.begin("two")
    assert pipe.lines == [("one", "last words")]
