"""Applying a `Selection` to query parameters and to cookies."""

from urllib.parse import unquote_plus

from edgefn.model.settings import Selecting, Selection


def is_selected(name: str, selection: Selection) -> bool:
    """Return whether `selection` means `name`."""
    match selection.mode:
        case Selecting.ALL:
            return True
        case Selecting.NONE:
            return False
        case Selecting.ONLY:
            return name in selection.names
        case Selecting.EXCEPT:
            return name not in selection.names


def selected_query(query: str | None, selection: Selection) -> str | None:
    """Return the selected parameters, as received and in their order; None when none is left.

    Names are compared decoded: `%61=1` is an `a` to the origin, so it is one here.
    """
    if query is None or selection.mode is Selecting.ALL:
        return query
    parameters = (part for part in query.split("&") if part)
    kept = [part for part in parameters if is_selected(unquote_plus(part.partition("=")[0], "latin-1"), selection)]
    return "&".join(kept) if kept else None


def sorted_query(query: str) -> str:
    """Return the parameters in the order of their names; those of one name stay in the order they came in."""
    return "&".join(sorted(query.split("&"), key=lambda part: part.partition("=")[0]))


def selected_cookies(lines: tuple[str, ...], selection: Selection) -> tuple[str, ...]:
    """Return the selected `name=value` pairs of the Cookie lines, in their order."""
    if selection.mode is Selecting.NONE:
        return ()
    pairs = (pair.strip(" \t") for line in lines for pair in line.split(";"))
    return tuple(pair for pair in pairs if pair and is_selected(pair.partition("=")[0].rstrip(" \t"), selection))
