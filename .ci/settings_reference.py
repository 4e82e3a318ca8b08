"""Writes the reference parts of the documentation anew, from the field tables that the loader uses."""

from pathlib import Path

from edgefn.configuration.reference import control_reference, reference

DOCS = Path(__file__).resolve().parents[1] / "docs"
MARK = "a test holds them together. -->\n\n"


def main() -> None:
    """Replace all that stands behind the mark of each page."""
    for name, text in (("configuration.md", reference()), ("control.md", control_reference())):
        page = DOCS / name
        head, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
        if not mark:
            raise SystemExit(f"{page}: the line that ends in {MARK.strip()!r} is missing")
        page.write_text(head + mark + text, encoding="utf-8")


if __name__ == "__main__":
    main()
