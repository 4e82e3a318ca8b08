"""TLS for viewers: one certificate per name, chosen by SNI, replaced while running."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from edgefn.model.errors import SettingsError
from edgefn.model.settings import Certificate


@dataclass(frozen=True, slots=True)
class Loaded:
    """Certificates as they were on disk at one moment: the first one's context, and all by name."""

    default: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext]


class Certificates:
    """The certificates of one listening address, and the context to accept viewers with.

    The context stays the same for good; each handshake is handed on to the certificate that is right for its name
    at that moment. So a reload touches no connection.
    """

    def __init__(self, certificates: tuple[Certificate, ...]) -> None:
        """Load all. Raises `SettingsError`."""
        self._certificates = certificates
        self._loaded = _load(certificates)
        self.context = _bare_context()
        self.context.sni_callback = self._choose

    def load(self) -> Loaded:
        """Read all files again, and change nothing. Raises `SettingsError`."""
        return _load(self._certificates)

    def use(self, loaded: Loaded) -> None:
        """Use these for every handshake that begins from now on."""
        self._loaded = loaded

    def _choose(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del context
        handshake.context = chosen(name, self._loaded.by_name) or self._loaded.default


def chosen(name: str | None, contexts: dict[str, ssl.SSLContext]) -> ssl.SSLContext | None:
    """Return the context for `name`: by the whole name, else by a wildcard for its first label (RFC 6125 6.4.3)."""
    if name is None:
        return None
    lowered = name.lower().removesuffix(".")
    return contexts.get(lowered) or contexts.get(f"*.{lowered.partition('.')[2]}")


def _names_in(pem: bytes) -> tuple[str, ...]:
    """Return the DNS names of the first certificate in `pem`, lower-case. Raises `ValueError`."""
    certificate = x509.load_pem_x509_certificates(pem)[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _load(certificates: Iterable[Certificate]) -> Loaded:
    """Load all; the first one that lists a name has it."""
    by_name: dict[str, ssl.SSLContext] = {}
    loaded: list[ssl.SSLContext] = []
    problems: list[str] = []
    for certificate in certificates:
        try:
            context, names = _load_one(certificate)
        except SettingsError as error:
            problems += error.problems
            continue
        loaded.append(context)
        for name in names:
            by_name.setdefault(name, context)
    if problems:
        raise SettingsError(tuple(problems))
    return Loaded(loaded[0], by_name)


def _load_one(certificate: Certificate) -> tuple[ssl.SSLContext, tuple[str, ...]]:
    try:
        with open(certificate.certificate, "rb") as file:
            pem = file.read()
        names = _names_in(pem)
    except OSError as error:
        raise _problem(certificate.certificate, f"can't be read: {error.strerror}", "a readable file") from error
    except ValueError as error:
        raise _problem(certificate.certificate, "is no PEM certificate", "a chain in PEM, leaf first") from error
    return _context_of(certificate), names


def _context_of(certificate: Certificate) -> ssl.SSLContext:
    context = _bare_context()
    try:
        # Without a password OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(certificate.certificate, certificate.key, password="")
    except ssl.SSLError as error:
        reason = error.reason or "unreadable"
        right = "an unencrypted PEM key that belongs to the certificate"
        raise _problem(certificate.key, f"is not the key of {certificate.certificate} ({reason})", right) from error
    except OSError as error:
        raise _problem(certificate.key, f"can't be read: {error.strerror}", "a readable file") from error
    return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _problem(path: str, wrong: str, right: str) -> SettingsError:
    return SettingsError((f"{path}: {wrong}; it should be {right}",))
