"""Purges as operators write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.purge_documents import by_host, by_path, by_tag, by_word, document, purge_of, words
from edgefn.rules.purges import ByHost, ByPath, ByTag, Everything, Purge

HOSTS = st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True)
PURGES = st.one_of(
    st.builds(ByPath, st.from_regex(r"/[!-\"$-~]{0,20}", fullmatch=True), st.none() | HOSTS),
    st.builds(ByHost, HOSTS),
    st.builds(ByTag, st.from_regex(r"[!-+\--~]{1,20}", fullmatch=True)),
    st.just(Everything()),
)


@pytest.mark.parametrize(
    ("word", "purge"),
    [
        ("/a", ByPath("/a")),
        ("/images/*", ByPath("/images/*")),
        ("*", ByPath("/*")),
        ("/news?page=1", ByPath("/news?page=1")),
        ("/a b".replace(" ", "%20"), ByPath("/a%20b")),
        ("/café", ByPath("/caf%C3%A9")),
        ("https://www.example.com/a?b=c", ByPath("/a?b=c", "www.example.com")),
        ("HTTPS://WWW.Example.com/A", ByPath("/A", "www.example.com")),
        ("http://www.example.com", ByPath("/", "www.example.com")),
        ("http://www.example.com?x", ByPath("/?x", "www.example.com")),
        ("http://www.example.com:80/*", ByPath("/*", "www.example.com")),
        ("https://www.example.com:443/", ByPath("/", "www.example.com")),
        ("https://www.example.com:80/", ByPath("/", "www.example.com:80")),
        ("http://127.0.0.1:8080/a", ByPath("/a", "127.0.0.1:8080")),
        ("http://[::1]:8080/a", ByPath("/a", "[::1]:8080")),
        ("https://bücher.example/a", ByPath("/a", "xn--bcher-kva.example")),
    ],
)
def test_a_word_is_a_url_or_a_path(word: str, purge: Purge) -> None:
    assert by_word(word) == purge


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("www.example.com/a", "neither a URL nor a path; write https://www.example.com/images/* or /images/*"),
        ("ftp://x/a", "neither a URL nor a path"),
        ("https://exa\tmple.com/a", "has a blank or a control character"),
        (" https://example.com/a", "has a blank or a control character"),
        ("", "neither a URL nor a path"),
        ("https:///a", "neither a URL nor a path"),
        ("https://user@x/a", "neither a URL nor a path"),
        ("http://[::1/a", "neither a URL nor a path"),
        ("https://a_b!/a", "is no host"),
        ("/a b", "write those as %20"),
        ("/a\x00", "write those as %20"),
        ("/a#b", "has a fragment"),
        ("/" + "a" * 4_000, "has 4001 characters; at most 4000"),
    ],
)
def test_what_is_neither_is_refused_with_the_cure(word: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("*", r"\*").replace("?", r"\?")):
        by_word(word)


def test_hosts_and_tags_are_checked() -> None:
    assert by_host("WWW.Example.COM:8080") == ByHost("www.example.com:8080")
    assert by_tag(" a b ") == ByTag("a b")
    for wrong in ("", "a/b", "http://x", "a b", "\n"):
        with pytest.raises(ValueError, match="is no host"):
            by_host(wrong)
    for wrong in ("", " ", "a,b", "x" * 1025):
        with pytest.raises(ValueError, match="is no tag"):
            by_tag(wrong)
    with pytest.raises(ValueError, match="is no path"):
        by_path("a", None)


@given(PURGES)
def test_a_purge_is_the_same_after_a_journey_as_json(purge: Purge) -> None:
    assert purge_of(document(purge)) == purge
    assert words(purge)


@pytest.mark.parametrize(
    "told",
    [
        {}, {"all": True}, {"everything": False}, {"everything": True, "tag": "a"}, {"tag": 5},
        {"path": "/a", "tag": "b"}, {"host": None}, {"url": "/a"}, {"path": ["/a"]},
    ],
)  # fmt: skip
def test_what_does_not_say_one_thing_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each says something else
        purge_of(told)
