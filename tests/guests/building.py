"""The guests of edgefn/starters, built for the tests by the program that builds them for everybody."""

from functools import cache
from pathlib import Path

import pytest

from tests.project.sources import script

builder = script("build_guests.py")
GUESTS: tuple[str, ...] = tuple(builder.GUESTS)
COMPLETING_URIS = tuple(name for name in GUESTS if name != "wasm-wat")
"""Those that do what hooks/pretty-urls does."""


@cache
def module_of(name: str) -> Path:
    """Return the module of a guest; skips the test, with the reason, where its tools are not on this machine."""
    try:
        module: Path = builder.built(name)
    except builder.NoToolsError as error:
        pytest.skip(f"{name} can't be built here: {error}")
    return module
