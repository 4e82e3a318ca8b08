"""The tags of a response, by which it can be purged with its like."""

from edgefn.model.headers import Headers

_MOST = 100
LONGEST_TAG = 1024


def tags_of(headers: Headers, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the members of the lists in these fields, each once: at most 100, of at most 1024 characters."""
    if headers.names().isdisjoint(names):
        return ()
    listed = (member.strip(" \t") for name in names for member in (headers.joined(name) or "").split(","))
    return tuple(dict.fromkeys(tag for tag in listed if 0 < len(tag) <= LONGEST_TAG))[:_MOST]
