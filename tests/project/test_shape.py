"""The shape of the code: small modules, small functions, each saying what it is for, and no knots between them."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.project.sources import MODULES, ROOT, name, parsed

MOST_LINES_IN_A_MODULE = 400
MOST_LINES_IN_A_FUNCTION = 60
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc"}

every_module = pytest.mark.parametrize("path", MODULES, ids=name)


@every_module
def test_a_module_fits_in_a_reading(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES_IN_A_MODULE


@every_module
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


@every_module
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert not DRAWERS & set(path.with_suffix("").parts)


@every_module
def test_a_function_fits_on_a_screen(path: Path) -> None:
    lengths = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_IN_A_FUNCTION} == {}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name)
def test_a_package_file_holds_a_docstring_and_nothing_else(path: Path) -> None:
    assert [type(node) for node in parsed(path).body] == [ast.Expr]


def names_of(path: Path) -> Iterator[str]:
    """Yield what a module defines at its top."""
    for node in parsed(path).body:
        match node:
            case ast.FunctionDef(name=known) | ast.AsyncFunctionDef(name=known) | ast.ClassDef(name=known):
                yield known
            case ast.Assign(targets=targets):
                yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=known)):
                yield known


def words(*paths: Path) -> Counter[str]:
    return Counter(word for path in paths for word in re.findall(r"\w+", path.read_text()))


def test_nothing_is_kept_that_no_part_of_the_program_uses() -> None:
    used = words(*MODULES, *ROOT.glob(".ci/*.py"))
    unused = [
        f"{name(path)}: {known}"
        for path in MODULES
        for own in [words(path)]
        for known in names_of(path)
        if not known.startswith("__") and (own if known.startswith("_") else used)[known] < 2
    ]
    assert unused == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("edgefn", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    order = tuple(TopologicalSorter(imports).static_order())  # A circle raises CycleError, which names it.
    assert set(order) == set(graph.modules)
