"""Purges as operators write them: words on the command line, JSON in the control API and between locations."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from edgefn.rules.purges import ByHost, ByKey, ByPath, ByTag, Everything, Purge
from edgefn.rules.tags import LONGEST_TAG

_LONGEST_PATH: Final = 4_000  # AWS: quotas on invalidations
_HOST: Final = re.compile(r"(?:[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_KINDS: Final = "url, path (perhaps with host), host, tag, everything"


def by_word(word: str) -> Purge:
    """Return the purge of a URL, or of a path on all hosts; `*` at its end is a wildcard. Raises `ValueError`."""
    if word == "*":
        return ByPath("/*")
    if word.startswith("/"):
        return by_path(word, None)
    return _by_url(word)


def by_path(path: str, host: str | None) -> Purge:
    """Return the purge of a path with its query. Raises `ValueError`."""
    if not path.startswith("/"):
        raise ValueError(f"{path[:80]!r} is no path; it must begin with a slash, as /images/*")
    if any(character <= " " or character == "\x7f" for character in path):
        raise ValueError(f"{path[:80]!r} has a blank or a control character in it; write those as %20 and the like")
    if "#" in path:
        raise ValueError(f"{path[:80]!r} has a fragment, which no request has; leave it out")
    encoded = quote(path, safe=_VISIBLE)
    if len(encoded) > _LONGEST_PATH:
        raise ValueError(f"the path has {len(encoded)} characters; at most {_LONGEST_PATH} are allowed")
    return ByPath(encoded, None if host is None else _checked_host(host))


def by_host(host: str) -> Purge:
    """Return the purge of a host. Raises `ValueError`."""
    return ByHost(_checked_host(host))


def by_tag(tag: str) -> Purge:
    """Return the purge of a tag. Raises `ValueError`."""
    if not 0 < len(tag.strip()) <= LONGEST_TAG or "," in tag:
        raise ValueError(f"{tag[:80]!r} is no tag; write one of 1 to {LONGEST_TAG} characters without a comma")
    return ByTag(tag.strip(" \t"))


def _by_url(url: str) -> Purge:
    if any(character <= " " or character == "\x7f" for character in url):  # `urlsplit` would leave some of them out
        raise ValueError(f"{url[:80]!r} has a blank or a control character in it; write those as %20 and the like")
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower()
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in host:
        raise ValueError(
            f"{url[:80]!r} is neither a URL nor a path; write https://www.example.com/images/* or /images/*"
        )
    target = url[url.index("//") + 2 + len(parts.netloc) :]
    path = target if target.startswith("/") else f"/{target}"
    return by_path(path, host.removesuffix(_DEFAULT_PORTS[parts.scheme]))


def _checked_host(host: str) -> str:
    lowered = host.lower()
    if not lowered.isascii():
        try:
            lowered = lowered.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"{host[:80]!r} is no host") from error
    if not _HOST.fullmatch(lowered):
        raise ValueError(f"{host[:80]!r} is no host; write www.example.com, with :PORT where it has one of its own")
    return lowered


def document(purge: Purge) -> dict[str, object]:
    """Return the purge as JSON that `purge_of` takes."""
    match purge:
        case ByPath(pattern, None):
            return {"path": pattern}
        case ByPath(pattern, host):
            return {"path": pattern, "host": host}
        case ByHost(host):
            return {"host": host}
        case ByTag(tag):
            return {"tag": tag}
        case ByKey(key):
            return {"key": key}
        case Everything():
            return {"everything": True}


def purge_of(told: Mapping[str, object]) -> Purge:
    """Return the purge that a JSON object describes. Raises `ValueError`."""
    match dict(told):
        case {"url": str(url), **rest} if not rest:
            return _by_url(url)
        case {"path": str(path), **rest} if not rest:
            return by_path(path, None)
        case {"path": str(path), "host": str(host), **rest} if not rest:
            return by_path(path, host)
        case {"host": str(host), **rest} if not rest:
            return by_host(host)
        case {"tag": str(tag), **rest} if not rest:
            return by_tag(tag)
        case {"key": str(key), **rest} if not rest:
            return ByKey(key)
        case {"everything": True, **rest} if not rest:
            return Everything()
        case _:
            raise ValueError(f"says not what to purge; give one of {_KINDS}")


def words(purge: Purge) -> str:
    """Return the purge for people to read."""
    match purge:
        case ByPath(pattern, None):
            return pattern
        case ByPath(pattern, host):
            return f"{host}{pattern}"
        case ByHost(host):
            return f"host {host}"
        case ByTag(tag):
            return f"tag {tag}"
        case ByKey(key):
            return "key " + key.replace("\n", " ")
        case Everything():
            return "everything"
