"""What else an unsafe request has changed, by what its response says (RFC 9111 section 4.4)."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from edgefn.model.headers import Headers
from edgefn.model.message import Request
from edgefn.rules.cache_key import authority_of, scheme_of
from edgefn.rules.lookup import is_safe


def has_changed(method: str, *statuses: int) -> bool:
    """Return whether a request with `method` has changed its target, by one of the `statuses` that came of it.

    That of the origin counts, whatever a function makes of it, and that of a function that answers itself.
    """
    return not is_safe(method) and any(200 <= status < 400 for status in statuses)


def changed_targets(request: Request, answer: Headers) -> Iterator[tuple[str, str | None]]:
    """Yield path and query of what Location and Content-Location name, as far as it has the request's own origin."""
    base = f"{scheme_of(request)}://{authority_of(request)}{request.target}"
    for name in ("location", "content-location"):
        stated = answer.get(name)
        target = None if stated is None else _target(base, stated.strip(" \t"))
        if target is not None:
            yield target


def _target(base: str, reference: str) -> tuple[str, str | None] | None:
    """Return where `reference` leads from `base`, or None when that is another origin or nowhere."""
    try:
        here, there = urlsplit(base), urlsplit(urljoin(base, reference))
        same = (here.scheme, here.hostname, _port(here.port, here.scheme)) == (
            there.scheme, there.hostname, _port(there.port, there.scheme),
        )  # fmt: skip
    except ValueError:
        return None
    if not same:
        return None
    return there.path or "/", there.query or None


def _port(stated: int | None, scheme: str) -> int:
    return stated or (443 if scheme == "https" else 80)
