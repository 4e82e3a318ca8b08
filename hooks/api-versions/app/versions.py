"""Which version of the API a request means."""

import re

NEWEST = 3
OLDEST = 2

_IN_ACCEPT = re.compile(r"application/vnd\.example\.v(\d+)\+json")


def wanted(headers):
    """Return the version in the Accept header, or the newest."""
    for line in headers.get("accept", []):
        found = _IN_ACCEPT.search(line["value"])
        if found:
            return int(found[1])
    return NEWEST
