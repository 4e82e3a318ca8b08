"""Writes the module map in docs/architecture.md: every module of edgefn with the first line of its docstring.

The docstrings are the truth. `make docs` runs this, and a test holds that nothing has moved since.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- modules -->", "<!-- /modules -->"
FLOORS = (
    "cli", "node", "control", "proxy", "functions", "wire", "stores", "sandbox", "configuration", "rules", "model",
)  # fmt: skip


def module_map(package: Path) -> str:
    """Return the map of a package as Markdown, its floors from the top down."""
    modules = sorted(package.rglob("*.py"), key=lambda path: rank(path.relative_to(package)))
    return "".join(line(path, package) for path in modules).strip()


def rank(path: Path) -> tuple[int, tuple[str, ...]]:
    """Return where a module stands: by floor, then a package before what it contains."""
    parts = path.with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    floor = FLOORS.index(parts[0]) if parts and parts[0] in FLOORS else -1
    return floor, parts


def line(path: Path, package: Path) -> str:
    """Return a module's line: its dotted name, and the first line of its docstring."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    said = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    return f"\n**`{name}`**: {said}\n" if is_package else f"- `{name}`: {said}\n"


def with_map(page: str, modules: str) -> str:
    """Return the page with the section between the markers replaced."""
    section = re.compile(f"{re.escape(START)}.*{re.escape(END)}", re.DOTALL)
    return section.sub(lambda _: f"{START}\n{modules}\n{END}", page)


if __name__ == "__main__":
    PAGE.write_text(with_map(PAGE.read_text(), module_map(ROOT / "edgefn")))
