"""What a function may do to the path and the query of a request."""

import re
from collections.abc import Mapping

from edgefn.model.message import Request
from edgefn.rules.event import as_text, as_wire
from edgefn.rules.violation import URI, ViolatedError

_MAX_TARGET = 8_192

# A "?" or "#" inside of a path would move the border between path and query for whoever reads the request line next.
_NOT_IN_PATH = re.compile(r"[\x00-\x20\x7f?#]")
_NOT_IN_QUERY = re.compile(r"[\x00-\x20\x7f#]")


def judge_target(sent: Request, result: Mapping[str, object]) -> tuple[str, str | None]:
    """Return path and query as `result` has them (AWS: restrictions on URIs and query strings).

    What is unchanged keeps its bytes, and is not judged. Raises `ViolatedError`.
    """
    uri, query = result.get("uri"), result.get("querystring", "")
    same_uri, same_query = uri == as_text(sent.path), query == as_text(sent.query or "")
    if same_uri and same_query:
        return sent.path, sent.query
    path = sent.path if same_uri else _path(uri)
    changed = sent.query if same_query else _query(query)
    if len(path) + len(changed or "") >= _MAX_TARGET:
        raise ViolatedError("uri", "the function returned a URI and query string of 8192 characters or more", URI)
    return path, changed


def _path(uri: object) -> str:
    if not isinstance(uri, str):
        raise ViolatedError("uri", "the function returned no string as URI", URI)
    if not uri.startswith("/"):
        raise ViolatedError("uri", "the function returned a URI that does not begin with '/'", URI)
    if _NOT_IN_PATH.search(uri):
        raise ViolatedError("uri", "the function returned a URI with an invalid character", URI)
    return as_wire(uri)


def _query(query: object) -> str | None:
    if not isinstance(query, str):
        raise ViolatedError("querystring", "the function returned no string as query string", URI)
    if _NOT_IN_QUERY.search(query):
        raise ViolatedError("querystring", "the function returned a query string with an invalid character", URI)
    return as_wire(query) or None
