"""Durations and sizes: what is read, what is not, and that what we write we read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.configuration.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("250ms", 0.25),
        ("5s", 5.0),
        ("1.5s", 1.5),
        ("1m", 60.0),
        ("1h30m", 5400.0),
        ("365d", 31_536_000.0),
        ("1d2h3m4s5ms", 93_784.005),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5S", "5sec", "1e3s", ".5s", "5.s", "٣s", "9" * 16 + "s"])
def test_what_is_no_duration_is_none(text):
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512B", 512),
        ("1KB", 1024),
        ("128MB", 134_217_728),
        ("128 MB", 134_217_728),
        ("1.5kb", 1536),
        ("2GiB", 2 * 1024**3),
        ("1TB", 1024**4),
    ],
)
def test_a_size_is_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5", "MB", "-1MB", "1.5B", "0.3KB", "5M", "1PB", "5iB", "1  MB", "9" * 16 + "B"])
def test_what_is_no_size_is_none(text):
    assert parse_size(text) is None


@given(st.integers(0, 10**12))
def test_a_duration_of_whole_milliseconds_survives_writing_and_reading(milliseconds):
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 10**12))
def test_a_duration_of_whole_seconds_survives_exactly(seconds):
    assert parse_duration(format_duration(float(seconds))) == seconds


@given(st.integers(0, 10**15 - 1))
def test_a_size_survives_writing_and_reading(size):
    assert parse_size(format_size(size)) == size


@given(st.text(max_size=30))
def test_no_text_breaks_the_readers(text):
    duration, size = parse_duration(text), parse_size(text)
    assert duration is None or duration >= 0
    assert size is None or size >= 0
