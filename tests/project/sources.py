"""The project's own files, as the tests about the project read them."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = sorted((ROOT / "edgefn").rglob("*.py"))


def name(path: Path) -> str:
    """Return a file's name as people say it: relative to the checkout."""
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def script(file: str) -> ModuleType:
    """Load one of the scripts in .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(f"ci_{Path(file).stem}", ROOT / ".ci" / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
