"""What is published of a configuration, what is each location's own, and what is different between two of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.configuration.differences import differences
from edgefn.configuration.document import parse
from edgefn.configuration.loader import load, load_shared
from edgefn.configuration.location import LOCATION
from edgefn.configuration.sharing import SHARED, is_whole, own_keys, shared_part, shown, site_in
from edgefn.model.errors import SettingsError

COMPLETE = (Path(__file__).parents[2] / "config" / "complete.yaml").read_text()
OWN = """\
location: fra1
site: shop
listen: 127.0.0.1:8080
functions: {geo: {path: geo.wasm, runtime: wasm}}
"""
SHARED_ONLY = """\
origins: {app: {url: "http://app.example"}}
routes: [{path: "*", origin: app, hooks: {viewer-request: geo}}]
"""


def test_every_setting_is_shared_or_each_location_s_own() -> None:
    assert {known.key for known in LOCATION.fields} > set(SHARED)
    document = parse(COMPLETE, "f.yaml")
    shared = shared_part(document)
    assert set(shared) <= set(SHARED)
    assert set(own_keys(document)).isdisjoint(shared)
    assert is_whole(document)


def test_a_file_with_a_published_configuration_is_as_if_all_stood_in_it() -> None:
    document = parse(COMPLETE, "f.yaml")
    whole = load(COMPLETE, filename="f.yaml", base="/etc/edge")
    again = load(COMPLETE, filename="f.yaml", base="/etc/edge", shared=shared_part(document))
    assert again == whole


def test_what_is_published_takes_the_place_of_all_that_locations_share() -> None:
    before = (
        OWN
        + "error_pages: {404: /gone.html}\norigins: {old: {url: 'http://old'}}\nroutes: [{path: '*', origin: old}]\n"
    )
    shared = shared_part(parse(SHARED_ONLY, "s.yaml"))
    settings = load(before, filename="f.yaml", base="/", shared=shared)
    assert (set(settings.origins), dict(settings.error_pages)) == ({"app"}, {})
    assert (settings.site, settings.location, set(settings.functions)) == ("shop", "fra1", {"geo"})


def test_a_file_that_names_a_site_may_leave_out_what_is_published() -> None:
    settings = load(OWN, filename="f.yaml", base="/")
    assert (settings.site, settings.routes, settings.origins) == ("shop", (), {})
    assert load(OWN.replace("shop", "off") + SHARED_ONLY, filename="f.yaml", base="/").site == ""
    assert (
        load("location: a\nlisten: 127.0.0.1:1\n" + SHARED_ONLY.replace("geo", "geo:1"), filename="f", base="/").site
        == "main"
    )


@pytest.mark.parametrize(
    "line", ["", "site: off\n", "site: shop\norigins: {}\n", "site: shop\nerror_pages: {404: /x}\norigins: {}\n"]
)
def test_without_a_site_and_beside_its_own_parts_a_file_needs_all(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"location: fra1\nlisten: 127.0.0.1:1\n{line}", filename="f.yaml", base="/")
    assert any("routes: is missing; write a list of routes" in problem for problem in caught.value.problems)


def test_a_published_problem_is_told_without_a_line_of_the_file() -> None:
    with pytest.raises(SettingsError) as caught:
        load(OWN, filename="f.yaml", base="/", shared={"origins": {"app": {"url": "x"}}, "routes": []})
    assert caught.value.problems[0].startswith("f.yaml: published configuration: origins.app.url: ")


def test_what_is_only_shared_is_checked_to_the_line() -> None:
    assert load_shared(SHARED_ONLY, filename="s.yaml").routes[0].origin == "app"
    with pytest.raises(SettingsError) as caught:
        load_shared("admin: off\n" + SHARED_ONLY + "error_page: {}\nviewer: {url_size: 9}\n", filename="s.yaml")
    assert caught.value.problems == (
        "s.yaml:1: admin: is each location's own; write it into the location's own file",
        "s.yaml:4: error_page: is no setting that is published; did you mean error_pages?",
        's.yaml:5: viewer.url_size: "9" is not a size; write one with its unit, as 9MB',
    )


def test_the_site_of_a_file() -> None:
    assert site_in(parse(OWN, "f"), "main") == "shop"
    assert site_in(parse(SHARED_ONLY, "f"), "main") == "main"


def test_headers_for_origins_are_not_told() -> None:
    told = shown({"origins": {"a": {"url": "u", "headers": {"X": "secret"}}, "b": {"url": "v"}}})
    assert told == {"origins": {"a": {"url": "u", "headers": {"X": "(not shown)"}}, "b": {"url": "v"}}}


def difference(before: str, after: str) -> list[tuple[str, str | None, str | None]]:
    found = differences(shared_part(parse(before, "f")), shared_part(parse(after, "f")))
    return [(each.path, each.old, each.new) for each in found]


BEFORE = """\
origins: {a: {url: "http://a", headers: {X-Key: one}}}
routes:
  - {path: /s/*, origin: a, cache: {default_ttl: 1h, key: {headers: [A, B]}}}
  - {path: "*", origin: a}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("http://a", "http://b", [("origins.a.url", "http://a", "http://b")]),
        ("1h", "2h", [('routes["/s/*"].cache.default_ttl', "1h", "2h")]),
        ("[A, B]", "[A]", [('routes["/s/*"].cache.key.headers', "[A, B]", "[A]")]),
        ("X-Key: one", "X-Key: two", [("origins.a.headers.X-Key", "(not shown)", "(not shown)")]),
        (", headers: {X-Key: one}", "", [("origins.a.headers.X-Key", "(not shown)", None)]),
        (
            '  - {path: "*"',
            '  - {path: /t, origin: a}\n  - {path: "*"',
            [('routes["/t"].origin', None, "a")],
        ),
        ("routes:", "quotas: aws-legacy\nroutes:", [("quotas", None, "aws-legacy")]),
        ("cache: {default_ttl: 1h, key: {headers: [A, B]}}", "hooks: {}", [
            ('routes["/s/*"].hooks', None, "{}"),
            ('routes["/s/*"].cache.default_ttl', "1h", None),
            ('routes["/s/*"].cache.key.headers', "[A, B]", None),
        ]),
    ],
)  # fmt: skip
def test_each_setting_that_differs_is_told_by_its_key(old: str, new: str, told: list[tuple]) -> None:
    assert difference(BEFORE, BEFORE.replace(old, new)) == told


def test_another_order_of_routes_is_told() -> None:
    first, second = "{path: /a, origin: a}", "{path: /b, origin: a}"
    before, after = (f"routes: [{one}, {two}]" for one, two in ((first, second), (second, first)))
    assert difference(before, after) == [("routes", "order: /a /b", "order: /b /a")]


values = st.recursive(
    st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "x", "y"]), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["origins", "routes", "viewer"]), values, max_size=3)


@given(documents, documents)
def test_nothing_is_different_exactly_where_all_is_the_same(before: dict, after: dict) -> None:
    assert differences(before, before) == []
    assert bool(differences(before, after)) == (before != after)
