"""What Connection takes away, and when."""

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.hop_by_hop import asks_for_websocket, without_named


def test_what_connection_names_is_gone_before_anybody_decides_by_it() -> None:
    asked = Headers(
        [("Host", "a"), ("Connection", "X-One, close"), ("X-One", "1"), ("connection", "cookie"), ("Cookie", "b=c")]
    )
    assert list(without_named(asked)) == [("Host", "a")]


def test_nothing_is_left_for_it_to_take_from_what_a_function_sets() -> None:
    asked = without_named(Headers([("Connection", "x-user"), ("Accept", "*/*")]))
    assert "connection" not in asked.adding(("X-User", "somebody"))


@pytest.mark.parametrize(
    "listed", ["close", "keep-alive", "Upgrade", "keep-alive, Upgrade", ", ,", "TE", "content-length, Host"]
)
def test_its_own_options_and_what_frames_a_request_stay(listed: str) -> None:
    asked = Headers([("Host", "a"), ("Content-Length", "3"), ("TE", "trailers"), ("Connection", listed)])
    assert without_named(asked) is asked


def test_a_websocket_is_still_asked_for() -> None:
    asked = Headers([("Connection", "x-one, upgrade"), ("X-One", "1"), ("Upgrade", "websocket")])
    assert asks_for_websocket("GET", without_named(asked))
    assert "x-one" not in without_named(asked)
