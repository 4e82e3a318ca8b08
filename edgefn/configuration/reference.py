"""The reference parts of docs/configuration.md and docs/control.md, written from the field tables."""

from collections.abc import Iterator

from edgefn.configuration.control import CONTROL
from edgefn.configuration.location import LOCATION
from edgefn.configuration.reading import Field, Section
from edgefn.configuration.routes import ROUTE, Routes
from edgefn.configuration.shapes import Either, ListOf, MapOf, OneOrMany


def reference() -> str:
    """Return every setting as Markdown: one table per section, in the order of the file."""
    return "\n".join(_table(section) for section in sections())


def control_reference() -> str:
    """Return every setting of a control plane that is none of a location."""
    shared = {section.name for section in sections()} - {""}
    return "\n".join(_table(section) for section in sections(CONTROL) if section.name not in shared)


def sections(whole: Section[object] = LOCATION) -> list[Section[object]]:
    """Return every section, the whole file's first, each before the ones inside it."""
    found: dict[str, Section[object]] = {}
    waiting: list[Section[object]] = [whole]
    while waiting:
        section = waiting.pop(0)
        found.setdefault(section.name, section)
        inner = [part for known in section.fields for part in _inside(known.kind)]
        waiting = [part for part in inner if part.name not in found] + waiting
    return list(found.values())


def _inside(kind: object) -> Iterator[Section[object]]:
    """Yield the sections that a kind of value is made of."""
    match kind:
        case Section():
            yield kind
        case ListOf(member=member) | OneOrMany(member=member) | MapOf(member=member):
            yield from _inside(member)
        case Either(long=long):
            yield from _inside(long)
        case Routes():
            yield ROUTE
        case _:
            return


def _table(section: Section[object]) -> str:
    title = f"`{section.name}`" if section.name else "The top of the file"
    rows = "".join(_row(known) for known in section.fields)
    return f"### {title}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _row(known: Field[object]) -> str:
    default = "required" if known.required else "" if known.default is None else f"`{known.default}`"
    cells = (f"`{known.key}`", known.kind.shape, default, known.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
