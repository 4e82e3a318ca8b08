"""Headers share what they know with those that are made of them; nobody may be able to tell."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers, Line

NAMES = ("Host", "Via", "via", "X-A", "x-a", "X-B")
WITHOUT = frozenset({"via", "x-a"})
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("1", "2", "3"))), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("adding"), LINES),
        st.tuples(st.just("less"), st.lists(st.sampled_from(("host", "via", "x-a", "x-c")), max_size=3)),
        st.tuples(st.just("write"), st.sampled_from((WITHOUT, frozenset({"x-b"})))),
        st.tuples(st.just("look"), st.sampled_from(("host", "via", "x-a", "x-b", "x-c"))),
    ),
    max_size=6,
)


def written(headers: Headers, less: frozenset[str]) -> tuple[str, int]:
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in less]
    return "".join(lines), len(lines)


def seen(headers: Headers) -> Sequence[object]:
    names = ("host", "via", "x-a", "x-b", "x-c")
    each = [(headers.get(name), headers.get_all(name), headers.joined(name), name in headers) for name in names]
    return [list(headers), list(headers.names()), headers.written(WITHOUT), headers.written(frozenset()), *each]


@given(LINES, STEPS)
def test_whatever_was_looked_up_before_the_lines_decide(lines: list[Line], steps: list[tuple[str, object]]):
    headers = Headers(lines)
    ancestors = []
    for step, given_ in steps:
        ancestors.append((headers, list(headers)))
        if step == "adding":
            headers = headers.adding(*given_)
        elif step == "less":
            headers = headers.less(frozenset(given_))
        elif step == "write":
            assert headers.written(given_) == written(headers, given_)
        else:
            assert (given_ in headers) is (headers.get(given_) is not None)
    assert seen(headers) == seen(Headers(list(headers)))
    for ancestor, before in ancestors:
        assert list(ancestor) == before
        assert seen(ancestor) == seen(Headers(before))


def test_a_name_on_many_lines_costs_no_more_than_its_lines():
    many = [("x", str(number)) for number in range(50_000)]  # copying for each line would take a minute
    assert Headers(many).adding(("X", "last")).get_all("x")[-1] == "last"
