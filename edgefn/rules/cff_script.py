"""Which file of a bundle is the CloudFront Function: such a function is one file, and has no others beside it."""

import posixpath
from collections.abc import Iterable

SCRIPTS = (".js", ".mjs", ".cjs")


def script_of(names: Iterable[str], handler: str) -> str | None:
    """Return the one script among the files of a bundle, or the one that the handler names; None where neither is."""
    scripts = scripts_of(names)
    stem = handler.partition(".")[0]
    named = [name for name in scripts if posixpath.splitext(name)[0] == stem]
    if len(scripts) == 1:
        return scripts[0]
    return named[0] if len(named) == 1 else None


def scripts_of(names: Iterable[str]) -> list[str]:
    """Return the scripts among the files of a bundle; what lies in a folder is none."""
    return sorted(name for name in names if "/" not in name and posixpath.splitext(name)[1] in SCRIPTS)
