"""docs/wasm-abi.md: its example works, and its tables are those of the code."""

import re
from pathlib import Path

import pytest

from edgefn.sandbox.wasm.abi import _TYPES
from edgefn.sandbox.wasm.host_functions import EDGEFN
from edgefn.sandbox.wasm.wasi import WASI
from tests.sandbox_wasm.guests import wasm
from tests.sandbox_wasm.stage import Stage

PAGE = (Path(__file__).parents[2] / "docs" / "wasm-abi.md").read_text()


async def test_the_example_works(stage: Stage) -> None:
    (example,) = re.findall(r"```wat\n(.*?)```", PAGE, re.DOTALL)
    assert await stage.result(wasm(example), event=b'{"a": 1}') == b'{"a": 1}'


@pytest.mark.parametrize("name", [function.name for function in EDGEFN])
def test_each_function_of_edgefn_has_its_row(name: str) -> None:
    assert f"| `{name}` | `(" in PAGE


@pytest.mark.parametrize("name", _TYPES)
def test_each_export_is_told(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", [function.name for function in WASI if not function.name.startswith("fd_prestat")])
def test_each_wasi_function_that_works_is_told(name: str) -> None:
    family = f"{name.partition('_')[0]}_*"
    assert f"`{name}`" in PAGE or f"`{family}`" in PAGE
