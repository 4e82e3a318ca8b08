"""What commands print: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from edgefn.rules.log_line import one_line


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return lines in columns, each as wide as its widest word, without blanks at their ends."""
    cells = [[one_line(str(cell)) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def as_json(told: object) -> str:
    """Return indented JSON."""
    return json.dumps(told, indent=2, ensure_ascii=False)


def moment(seconds: object) -> str:
    """Return wall-clock seconds as a date and a time in UTC, "-" for none."""
    if not isinstance(seconds, int | float) or not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def rows_in(told: dict[str, object], key: str) -> list[dict[str, object]]:
    """Return the objects that an answer lists under `key`."""
    listed = told.get(key)
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
