"""What the edge compresses, and what becomes of its fields (AWS: serving compressed files)."""

import re

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.cache_control import delta_seconds, parse
from edgefn.rules.directives import in_force
from edgefn.rules.ranges import strong_tag

GZIP, BROTLI, ZSTANDARD = "gzip", "br", "zstd"
_PREFERRED = (BROTLI, ZSTANDARD, GZIP)  # AWS: of gzip and br, br
_STATUSES = frozenset({200, 403, 404})
_OF_THE_PLAIN_BYTES = ("content-length", "content-md5", "content-digest", "repr-digest", "digest")
_LEAST, _MOST = 1_000, 10_000_000
_TAG = re.compile(r'(?:W/)?"[^"]*+"')
_APPLICATION = (
    "dash+xml eot font font-sfnt javascript json opentype otf pdf pkcs7-mime protobuf rss+xml truetype ttf "
    "vnd.apple.mpegurl vnd.mapbox-vector-tile vnd.ms-fontobject wasm xhtml+xml xml x-font-opentype x-font-truetype "
    "x-font-ttf x-httpd-cgi x-javascript x-mpegurl x-opentype x-otf x-perl x-ttf"
)
_FONT = "eot opentype otf ttf"
_TEXT = "css csv html javascript js plain richtext tab-separated-values xml x-component x-java-source x-script"
_TYPES = frozenset(
    {f"application/{name}" for name in _APPLICATION.split()}
    | {f"font/{name}" for name in _FONT.split()}
    | {f"text/{name}" for name in _TEXT.split()}
    | {"image/svg+xml", "vnd.apple.mpegurl"}
)


def is_compressible(method: str, response: Response, policy: CachePolicy) -> bool:
    """Return whether the answer may go out compressed, to viewers that accept that.

    One to HEAD has no body, and is judged by the length that the body would have.
    """
    headers = response.headers
    if not policy.compress or response.status not in _STATUSES or "content-encoding" in headers:
        return False
    length = delta_seconds(headers.get("content-length")) if method == "HEAD" else response.body.length
    if length is None or not _LEAST <= length <= _MOST:
        return False
    if "no-transform" in parse(headers.joined("cache-control")) or "no-transform" in in_force(headers, policy.targeted):
        return False  # RFC 9111 section 5.2.2.6
    kind = (headers.get("content-type") or "").partition(";")[0].strip(" \t").lower()
    return kind in _TYPES


def coding_for(request: Request, policy: CachePolicy) -> str | None:
    """Return the coding in which this viewer gets it, None for none. HTTP/1.0 does not know of chunks."""
    accepted = normalised(request.headers.joined("accept-encoding"), policy.encodings).split(",")
    if request.version == "1.0":
        return None
    return next((coding for coding in _PREFERRED if coding in accepted), None)


def compressed_headers(headers: Headers, coding: str) -> Headers:
    """Return the fields of the compressed response: a strong tag becomes weak, a malformed one goes."""
    changed = headers.without(*_OF_THE_PLAIN_BYTES).replacing("Content-Encoding", coding)
    tag = headers.get("etag")
    if strong_tag(headers) is not None:
        changed = changed.replacing("ETag", f"W/{tag}")
    elif tag is not None and not tag.startswith('W/"'):
        changed = changed.without("etag")
    return with_vary(changed)


def confirmed_headers(asked: Headers, headers: Headers) -> Headers:
    """Return the fields of an origin's 304 for a viewer whose copy was compressed here (RFC 9110 section 15.4.5).

    That one says so by its tag: it asks for the weak form alone of the one that the origin gave. With the strong one it
    could take ranges of plain bytes for the rest of compressed ones.
    """
    strong = strong_tag(headers)
    if strong is None:
        return headers
    known = _TAG.findall(asked.joined("if-none-match") or "")
    if f"W/{strong}" not in known or strong in known:
        return headers
    return with_vary(headers.replacing("ETag", f"W/{strong}"))


def with_vary(headers: Headers) -> Headers:
    """Return `headers` with Accept-Encoding in Vary."""
    stated = headers.joined("vary") or ""
    names = {name.strip(" \t").lower() for name in stated.split(",")}
    if names & {"*", "accept-encoding"}:
        return headers
    return headers.replacing("Vary", f"{stated}, Accept-Encoding" if stated else "Accept-Encoding")
