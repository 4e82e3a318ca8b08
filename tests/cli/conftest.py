"""What the tests of the command line share."""

import io
import sys

import pytest

from edgefn.cli.main import main
from tests.cli.running import CHECKOUT, Done, Here


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    def run(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.chdir(CHECKOUT)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = main([*arguments])
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        told = capsys.readouterr()
        return Done(arguments, status, told.out, told.err)

    return run
