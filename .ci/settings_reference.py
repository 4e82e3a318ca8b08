"""Writes the reference part of docs/configuration.md anew, from the field tables that the loader uses."""

from pathlib import Path

from edgefn.configuration.reference import reference

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
MARK = "a test holds them together. -->\n\n"


def main() -> None:
    """Replace all that stands behind the mark."""
    page = PAGE.read_text(encoding="utf-8")
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE}: the line that ends in {MARK.strip()!r} is missing")
    PAGE.write_text(head + mark + reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
