"""TLS towards origins: settings to contexts."""

import ssl
import warnings
from typing import NamedTuple

from cachetools import LRUCache

from edgefn.model.origin import PEM_BEGIN

_CONTEXTS = 64
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class TlsSettings(NamedTuple):
    """How to speak TLS with an origin. `ca` is the path of a PEM file, or what one holds; None: the system's."""

    verify: bool
    ca: str | None
    protocols: tuple[str, ...]


class TlsContexts:
    """Makes each context once: reading the system's authorities takes milliseconds."""

    def __init__(self) -> None:
        self._contexts: LRUCache[TlsSettings, ssl.SSLContext] = LRUCache(_CONTEXTS)

    def context(self, settings: TlsSettings) -> ssl.SSLContext:
        """Return the context for `settings`. Raises `OSError` (`ssl.SSLError` too) when the CA file is unusable."""
        context = self._contexts.get(settings)
        if context is None:
            context = self._contexts[settings] = _context(settings)
        return context


def _context(settings: TlsSettings) -> ssl.SSLContext:
    if settings.ca is not None and settings.ca.startswith(PEM_BEGIN):
        context = ssl.create_default_context(cadata=settings.ca)
    else:
        context = ssl.create_default_context(cafile=settings.ca)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    lowest, highest = protocol_bounds(settings.protocols)
    with warnings.catch_warnings():  # Python warns of TLS before 1.2: whoever configured it knows
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = lowest
        context.maximum_version = highest
    return context


def protocol_bounds(names: tuple[str, ...]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    """Return the lowest and highest version for AWS's names of them; unknown ones (SSLv3) don't count.

    TLS 1.2 implies 1.3, as AWS's lists are older than that. Without a known name it is 1.2 and up.
    """
    known = [_VERSIONS[name] for name in names if name in _VERSIONS] or [ssl.TLSVersion.TLSv1_2]
    highest = max(known)
    return min(known), ssl.TLSVersion.MAXIMUM_SUPPORTED if highest >= ssl.TLSVersion.TLSv1_2 else highest
