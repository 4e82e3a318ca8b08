"""Which of the stored responses answers a request."""

from edgefn.model.headers import NO_HEADERS
from edgefn.proxy.answering import chosen
from edgefn.stores.base import Stored
from tests.proxy.cache_stage import NOW, asking


def stored(made_at: float, *vary: tuple[str, str | None], age: float = 0.0) -> Stored:
    return Stored(200, "", NO_HEADERS, b"", made_at + age, made_at + age, 60.0, age, vary)


def test_of_several_that_match_the_one_made_last_answers() -> None:
    old, new, late = stored(NOW, ("lang", "fr")), stored(NOW + 5), stored(NOW + 1, ("tone", None), age=30)
    request = asking("/a", ("Lang", "fr"))
    for variants in ([old, new, late], [late, new, old], [new, late, old]):
        assert chosen(variants, request) is new


def test_of_two_made_at_once_the_one_stored_last_answers() -> None:
    first, last = stored(NOW, ("lang", "fr")), stored(NOW)
    assert chosen([last, first], asking("/a", ("Lang", "fr"))) is last


def test_what_does_not_match_does_not_answer_however_new() -> None:
    old, new = stored(NOW, ("lang", "fr")), stored(NOW + 5, ("lang", "de"))
    assert chosen([new, old], asking("/a", ("Lang", "fr"))) is old
    assert chosen([new, old], asking("/a")) is None
    assert chosen([], asking("/a")) is None
