"""What functions and locations say is shown to operators, but can not move their cursor or pose as other lines."""

import pytest

from edgefn.cli import serve, status
from edgefn.cli.logs import print_line
from edgefn.cli.tables import table
from edgefn.rules.log_line import for_terminal

EVIL = "SyntaxError: \x1b[2J\x1b]0;title\x07\r\nedgefn: all is well\u202e\x9b"


def is_harmless(shown: str, lines: int) -> bool:
    return len(shown.split("\n")) == lines and all(
        each.isprintable() or each in "\n\t" for each in shown.removesuffix("\n")
    )


def test_a_log_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(
        {"at": "now", "location": "fra1", "function": "f", "version": "1", "text": f"a\t{EVIL}"}, as_document=False
    )
    shown = capsys.readouterr().out.removesuffix("\n")
    assert shown.startswith("now fra1 f:1 a\tSyntaxError: \\x1b[2J")
    assert is_harmless(shown, 1)


def test_what_a_location_says_of_a_failure_is_one_line_of_the_status() -> None:
    failed = [{"function": "f", "version": "1", "why": EVIL}]
    location = {"location": "fra1", "state": "active", "running": {f"f:{EVIL}": 1}, "failed": failed}
    shown = status.words({"generation": 1, "locations": [location], "problems": [{"subject": EVIL, "why": EVIL}]})
    assert is_harmless(shown, 5)


def test_the_log_of_a_location_has_a_line_for_each_report(capsys: pytest.CaptureFixture[str]) -> None:
    serve._report(f"f:2 does not go live: {EVIL}")
    shown = capsys.readouterr().err.removesuffix("\n")
    assert shown.startswith("edgefn: f:2 does not go live: SyntaxError: \\x1b[2J")
    assert is_harmless(shown, 1)


def test_cells_and_words_keep_what_is_printable() -> None:
    assert table(("A",), [("é \x1b",)]) == "A\né \\x1b"
    assert for_terminal("a\n\tb é \x1b\r") == "a\n\tb é \\x1b\\x0d"
    assert for_terminal("é") == "é"
