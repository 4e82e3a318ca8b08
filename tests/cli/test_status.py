"""`edgefn status`: what people read."""

import pytest

from edgefn.cli.status import words


def problems(*subjects: str, why: str = "it is not signed") -> list[dict[str, str]]:
    return [{"subject": subject, "why": why} for subject in subjects]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], []),
        (problems("fn.a"), ["fn.a: does not count: it is not signed"]),
        (problems("fn.a", "fn.b"), ["2 records do not count: it is not signed (fn.a, fn.b)"]),
        (
            problems("fn.a", "fn.b", "fn.c", "fn.d", "fn.e") + problems("fn.f", why="it is not JSON"),
            [
                "5 records do not count: it is not signed (fn.a, fn.b, fn.c and 2 more)",
                "fn.f: does not count: it is not JSON",
            ],
        ),
    ],
)
def test_each_reason_why_records_do_not_count_is_said_once(given: list[dict[str, str]], said: list[str]) -> None:
    told = words({"generation": 3, "locations": [], "problems": given}).splitlines()
    assert told[0] == "published: generation 3"
    assert [line for line in told if "not count" in line] == said
