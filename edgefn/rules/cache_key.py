"""Under which key a request's response is stored (RFC 9111 section 2, AWS: cache key).

A key is the target URI, as scheme, authority and target in three lines, and behind it a CR and a line for each header
and cookie that the route's policy names. CR and LF can stand in none of the parts, so no two requests that differ
there share a key. GET and HEAD share one, and no other method has one.
"""

from collections.abc import Callable

from edgefn.model.message import Request
from edgefn.model.settings import CachePolicy, Selecting
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.selecting import selected_cookies, selected_query, sorted_query

EXTENSION = "\r"
"""Ends the URI within a key. All keys of one URI are dropped together (RFC 9111 section 4.4)."""


def keys_by(policy: CachePolicy) -> Callable[[Request], str]:
    """Return the function that makes the keys of a route with this policy."""
    plain = policy.query.mode is Selecting.ALL and policy.cookies.mode is Selecting.NONE
    if plain and not (policy.headers or policy.encodings or policy.sort_query):
        return uri_key
    return lambda request: _policy_key(request, policy)


def fields_in_key(policy: CachePolicy) -> frozenset[str]:
    """Return the lower-case names of the request's fields that keys depend on, beside Host."""
    cookies = () if policy.cookies.mode is Selecting.NONE else ("cookie",)
    encodings = ("accept-encoding",) if policy.encodings else ()
    return frozenset((*policy.headers, *cookies, *encodings))


def uri_key(request: Request) -> str:
    """Return the key of the request's target URI with its whole query."""
    target = request.path if request.query is None else f"{request.path}?{request.query}"
    return f"{scheme_of(request)}\n{authority_of(request)}\n{target}"


def uri_of(key: str) -> str:
    """Return the URI's own key: what `key` is without its extensions."""
    return key.partition(EXTENSION)[0]


def scheme_of(request: Request) -> str:
    """Return the scheme of the target URI."""
    return "http" if request.viewer.tls is None else "https"


def authority_of(request: Request) -> str:
    """Return the Host in lower case, less the scheme's default port (RFC 9110 section 4.2.3)."""
    host = (request.headers.get("host") or "").lower()
    return host.removesuffix(":80" if request.viewer.tls is None else ":443")


def _policy_key(request: Request, policy: CachePolicy) -> str:
    query = selected_query(request.query, policy.query)
    if policy.sort_query and query:
        query = sorted_query(query)
    target = request.path if query is None else f"{request.path}?{query}"
    uri = f"{scheme_of(request)}\n{authority_of(request)}\n{target}"
    lines = [*_header_lines(request, policy), *_cookie_lines(request, policy)]
    return EXTENSION.join((uri, "\n".join(lines))) if lines else uri


def _header_lines(request: Request, policy: CachePolicy) -> list[str]:
    """Return `name:value` of each header in the key that the request has, and the coding that its response may have."""
    values = ((name, request.headers.joined(name)) for name in policy.headers)
    lines = [f"{name}:{value}" for name, value in values if value is not None]
    if policy.encodings:
        lines.append(f"accept-encoding={normalised(request.headers.joined('accept-encoding'), policy.encodings)}")
    return lines


def _cookie_lines(request: Request, policy: CachePolicy) -> list[str]:
    """Return `;name=value` of each cookie in the key; no header's name has a semicolon."""
    return [f";{pair}" for pair in selected_cookies(request.headers.get_all("cookie"), policy.cookies)]
