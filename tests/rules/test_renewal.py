"""When a location asks for fresh credentials."""

import pytest

from edgefn.rules.renewal import is_due, pause

DAY = 86_400.0
WEEK = 7 * DAY


@pytest.mark.parametrize(
    ("now", "due"), [(0.0, False), (3.4 * DAY, False), (3.5 * DAY, True), (WEEK, True), (2 * WEEK, True)]
)
def test_they_are_renewed_when_half_of_their_life_is_over(now: float, *, due: bool) -> None:
    assert is_due(0.0, WEEK, now) is due


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (3.5 * DAY, 600.0),  # a control plane that is away for an hour is not asked all the time
        (WEEK - 3_600, 180.0),
        (WEEK - 200, 10.0),
        (WEEK - 10, 5.0),  # the last moments have several tries
        (WEEK + 1, 60.0),
        (5 * WEEK, 60.0),
    ],
)
def test_tries_come_more_often_towards_the_end(now: float, seconds: float) -> None:
    assert pause(0.0, WEEK, now) == seconds


def test_short_lives_have_short_pauses() -> None:
    assert (pause(0.0, 4.0, 2.0), pause(0.0, 4.0, 5.0)) == (0.2, 0.2)
