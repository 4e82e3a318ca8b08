"""Log lines on their way to a stream."""

import io
import time

from edgefn.functions.logs import LineWriter


class Stream(io.StringIO):
    """Counts how often it was written to."""

    times = 0

    def write(self, text: str) -> int:
        self.times += 1
        return super().write(text)


def test_lines_come_out_in_order_and_few_writes():
    stream = Stream()
    with LineWriter(stream) as log:
        for number in range(1_000):
            log.write(f"line {number}")
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(1_000)]
    assert stream.times < 100


def test_a_line_comes_out_without_another_one_behind_it():
    stream = Stream()
    with LineWriter(stream) as log:
        log.write("alone")
        deadline = time.monotonic() + 5
        while not stream.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert stream.getvalue() == "alone\n"


def test_a_reader_that_is_gone_troubles_nobody():
    stream = Stream()
    stream.close()
    with LineWriter(stream) as log:
        log.write("to nobody")
    assert stream.closed
