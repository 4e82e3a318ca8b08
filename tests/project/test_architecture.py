"""docs/architecture.md says what the modules say of themselves."""

from pathlib import Path

import pytest

from tests.project.sources import ROOT, script

PAGE = (ROOT / "docs" / "architecture.md").read_text()
module_map = script("module_map.py")


def test_the_module_map_is_what_the_docstrings_say() -> None:
    written = module_map.with_map(PAGE, module_map.module_map(ROOT / "edgefn"))
    assert written == PAGE, "docs/architecture.md is out of date: make docs"


@pytest.mark.parametrize("heading", ["The walk", "The floors", "The module map"])
def test_the_page_tells_the_walk_the_floors_and_the_modules(heading: str) -> None:
    assert f"\n## {heading}\n" in PAGE


def test_a_map_goes_from_the_top_floor_down_and_a_package_stands_before_its_modules(tmp_path: Path) -> None:
    package = tmp_path / "edgefn"
    files = {
        "__init__.py": '"""All of it."""',
        "model/__init__.py": '"""The nouns."""',
        "model/message.py": '"""Messages.\n\nMore about them.\n"""',
        "cli/__init__.py": '"""The command line."""',
        "node.py": '"""The composition root."""',
    }
    for file, text in files.items():
        path = package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert module_map.module_map(package).split("\n") == [
        "**`edgefn`**: All of it.",
        "",
        "**`edgefn.cli`**: The command line.",
        "- `edgefn.node`: The composition root.",
        "",
        "**`edgefn.model`**: The nouns.",
        "- `edgefn.model.message`: Messages.",
    ]


def test_only_what_stands_between_the_markers_is_written_anew() -> None:
    page = "before\n<!-- modules -->\nold \\1\n<!-- /modules -->\nafter\n"
    assert module_map.with_map(page, "new \\1") == "before\n<!-- modules -->\nnew \\1\n<!-- /modules -->\nafter\n"
