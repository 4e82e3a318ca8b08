"""Values without a guard at run time are values all the same."""

import pytest

from edgefn.model.headers import NO_HEADERS
from edgefn.model.message import Response
from edgefn.model.trail import OriginAttempt


def test_they_are_equal_and_hashed_by_what_they_hold():
    one, same, other = (OriginAttempt("app", status, 0.5, reused=True) for status in ("200", "200", "500"))
    assert one == same
    assert len({one, same, other}) == 2


def test_they_have_no_room_for_anything_else():
    response = Response(200, "OK", NO_HEADERS)
    with pytest.raises(AttributeError):
        response.colour = "red"


def test_each_has_a_body_of_its_own():
    assert Response(200, "OK", NO_HEADERS).body is not Response(200, "OK", NO_HEADERS).body
