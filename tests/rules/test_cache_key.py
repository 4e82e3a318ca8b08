"""Which requests share a key, and which may not, whatever viewers write into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Viewer, no_body
from edgefn.model.settings import ALL, CachePolicy, Selecting, Selection
from edgefn.model.trail import Trail
from edgefn.rules.cache_key import keys_by, uri_of

PLAIN = CachePolicy()


def asking(
    target: str = "/a", *headers: tuple[str, str], method: str = "GET", host: str = "Shop.test", tls: bool = False
) -> Request:
    path, mark, query = target.partition("?")
    viewer = Viewer("127.0.0.1", 5, ("TLSv1.3", "x") if tls else None)
    return Request(
        method, path, query if mark else None, Headers([("Host", host), *headers]), no_body(), viewer, "id", Trail()
    )


def key(request: Request, policy: CachePolicy = PLAIN) -> str:
    return keys_by(policy)(request)


def test_head_shares_the_key_of_get() -> None:
    assert key(asking(method="HEAD")) == key(asking(method="GET"))


def test_the_host_is_compared_without_case_and_without_the_default_port() -> None:
    assert key(asking(host="SHOP.test:80")) == key(asking(host="shop.TEST"))
    assert key(asking(host="shop.test:443", tls=True)) == key(asking(host="shop.test", tls=True))
    assert key(asking(host="shop.test:443")) != key(asking(host="shop.test"))


@pytest.mark.parametrize(
    "other",
    [
        asking("/A"),
        asking("/a?"),
        asking("/a?x"),
        asking(host="b.test"),
        asking(tls=True),
        asking("/a/"),
        asking("/%61"),
    ],
)
def test_another_uri_has_another_key(other: Request) -> None:
    assert key(other) != key(asking("/a"))


def test_a_host_can_not_pass_for_a_part_of_a_path() -> None:
    assert key(asking("/y", host="shop.test/x")) != key(asking("/x/y", host="shop.test"))


@pytest.mark.parametrize(
    ("selection", "query", "same_as"),
    [
        (Selection(Selecting.NONE), "a=1&b=2", None),
        (Selection(Selecting.ONLY, ("a",)), "b=2&a=1&c", "a=1"),
        (Selection(Selecting.ONLY, ("a",)), "b=2", None),
        (Selection(Selecting.ONLY, ("a",)), "a=2&b=1&a=1", "a=2&a=1"),
        (Selection(Selecting.EXCEPT, ("utm",)), "a=1&utm=5&b", "a=1&b"),
        (Selection(Selecting.EXCEPT, ("utm",)), "ut%6d=5", None),
        (ALL, "a=1&b=2", "a=1&b=2"),
    ],
)
def test_the_policy_selects_parameters(selection: Selection, query: str, same_as: str | None) -> None:
    policy = CachePolicy(query=selection)
    bare = asking("/a" if same_as is None else f"/a?{same_as}")
    assert key(asking(f"/a?{query}"), policy) == key(bare, CachePolicy(query=ALL))


def test_an_encoded_name_is_still_the_parameter_it_is_to_the_origin() -> None:
    policy = CachePolicy(query=Selection(Selecting.ONLY, ("a",)))
    assert key(asking("/?%61=1"), policy) != key(asking("/"), policy)


def test_headers_of_the_policy_are_told_apart_and_others_are_not() -> None:
    policy = CachePolicy(headers=("x-country",))
    assert key(asking("/", ("X-Country", "FR")), policy) == key(asking("/", ("x-country", "FR"), ("x", "y")), policy)
    assert len({key(asking("/", *lines), policy) for lines in ([], [("x-country", "")], [("x-country", "FR")])}) == 3


def test_cookies_of_the_policy_are_told_apart_and_others_are_not() -> None:
    policy = CachePolicy(cookies=Selection(Selecting.ONLY, ("sid",)))
    assert key(asking("/", ("Cookie", "x=1; sid=7;y")), policy) == key(asking("/", ("Cookie", "sid=7")), policy)
    assert key(asking("/", ("Cookie", "sid=8")), policy) != key(asking("/", ("Cookie", "sid=7")), policy)
    assert key(asking("/", ("Cookie", "x=1")), policy) == key(asking("/"), policy)


def test_a_cookie_can_not_pass_for_a_header() -> None:
    policy = CachePolicy(headers=("x-country",), cookies=ALL)
    assert key(asking("/", ("Cookie", "x-country:FR")), policy) != key(asking("/", ("X-Country", "FR")), policy)


def test_the_uri_is_the_part_that_all_its_keys_have() -> None:
    policy = CachePolicy(headers=("a",), cookies=ALL, query=Selection(Selecting.NONE))
    long = key(asking("/a?q", ("A", "1"), ("Cookie", "b=2")), policy)
    assert uri_of(long) == key(asking("/a"))
    assert uri_of(key(asking("/a"))) == key(asking("/a"))


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)),
)
def test_no_two_values_run_into_one(one: str, other: str) -> None:
    policy = CachePolicy(headers=("a", "b"))
    pair, swapped = asking("/", ("a", one), ("b", other)), asking("/", ("a", other), ("b", one))
    assert (key(pair, policy) == key(swapped, policy)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a?x=1&y=2", "/a?y=2&x=1", True),
        ("/a?x=1&x=2", "/a?x=2&x=1", False),
        ("/a?x=1&y=2&x=3", "/a?y=2&x=1&x=3", True),
        ("/a?x", "/a?x=", False),
        ("/a?", "/a", False),
        ("/a?x=1", "/a?x=2", False),
    ],
)
def test_a_sorted_query_is_the_same_in_any_order_of_its_names(one: str, other: str, same: bool) -> None:
    policy = CachePolicy(sort_query=True)
    assert (key(asking(one), policy) == key(asking(other), policy)) is same
    if "&" in one:
        assert key(asking(one)) != key(asking(other))


def test_only_what_is_selected_is_sorted() -> None:
    policy = CachePolicy(sort_query=True, query=Selection(Selecting.EXCEPT, ("utm",)))
    assert key(asking("/a?y=2&utm=9&x=1"), policy) == key(asking("/a?x=1&y=2"), policy)
