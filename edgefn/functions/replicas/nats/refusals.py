"""Why a NATS server can't be used, and what cures it."""

import ssl
from collections.abc import Mapping
from typing import Final, Protocol

OLDEST: Final = (2, 12)
"""Older servers ignore atomic batches and batched reads without a word."""
_INCLUDE: Final = "a server of your own must include the nats-server.conf that `edgefn control init` writes"
_CA: Final = "name the file of the authority that signed it as nats.ca_file in the control plane's configuration"


class RefusalError(Exception):
    """A server was reached, and it is none that we may speak with. Waiting does not cure it."""


class Version(Protocol):
    """A server's version."""

    @property
    def major(self) -> int:
        """Return the first number."""

    @property
    def minor(self) -> int:
        """Return the second number."""


def check_encrypted(server: str, told: Mapping[str, object]) -> None:
    """Raise `RefusalError` when a server at tls:// speaks no TLS by what it `told` of itself: nats-py would go on."""
    if server.startswith("tls://") and not told.get("tls_required"):
        raise RefusalError(f"{server} speaks no TLS: give it a certificate (tls {{ cert_file, key_file }})")


def check_usable(server: str, told: Mapping[str, object], version: Version, *, has_login: bool) -> None:
    """Raise `RefusalError` for a server that is too old, speaks in clear, or lets everybody in."""
    check_encrypted(server, told)
    if (version.major, version.minor) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise RefusalError(f"{server} is NATS {version.major}.{version.minor}; edgefn needs {wanted} or newer")
    if has_login and "nonce" not in told:
        raise RefusalError(f"{server} lets everybody in: it obeys no operator; {_INCLUDE}")


def why_not(server: str, error: Exception | None) -> str:
    """Return why a server can't be used, and what cures it."""
    if error is None:
        return f"nobody answers at {server}"
    if isinstance(error, RefusalError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {server} is not trusted ({said(error)}): {_CA}"
    if _is_denial(error):
        cause = "it obeys another operator, or these credentials have expired or were revoked"
        return f"{server} does not take our credentials (Authorization Violation): {cause}; {_INCLUDE}"
    return f"{server}: {said(error)}"


def is_refusal(error: Exception) -> bool:
    """Return whether waiting does not cure it."""
    return isinstance(error, RefusalError | ssl.SSLCertVerificationError) or _is_denial(error)


def said(error: Exception) -> str:
    """Return an error's own words."""
    return str(error) or type(error).__name__


def _is_denial(error: Exception) -> bool:
    return "authorization violation" in str(error).lower()
