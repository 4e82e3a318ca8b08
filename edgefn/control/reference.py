"""The table of endpoints in docs/control.md, written from the endpoints themselves."""

from collections.abc import Iterable

from edgefn.control.endpoints import Endpoint


def reference(endpoints: Iterable[Endpoint]) -> str:
    """Return the endpoints as a Markdown table, in the order of their paths."""
    ordered = sorted(endpoints, key=lambda each: (each.path, each.method))
    rows = [f"| `{each.method} {each.path}` | {each.scope} | {each.summary} |\n" for each in ordered]
    return "| endpoint | scope | what it does |\n| --- | --- | --- |\n" + "".join(dict.fromkeys(rows))
