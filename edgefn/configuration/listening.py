"""`listen`: where viewers are served, with which certificates."""

from dataclasses import dataclass
from typing import Final

from edgefn.configuration.document import Node
from edgefn.configuration.kinds import Address, FilePath
from edgefn.configuration.reading import Field, Json, Reading, Section, Values
from edgefn.configuration.shapes import Either, ListOf
from edgefn.model.settings import Certificate, Listen


class _CertificateFields:
    certificate = Field(
        "certificate",
        FilePath("a path of a PEM file"),
        "The certificate and its chain; it names its domains.",
        required=True,
    )
    key = Field("key", FilePath("a path of a PEM file"), "Its private key.", required=True)


def _build_certificate(values: Values) -> Certificate:
    return Certificate(values[_CertificateFields.certificate], values[_CertificateFields.key])


CERTIFICATE: Final = Section("listen[].certificates[]", _CertificateFields, _build_certificate)
ONE_CERTIFICATE: Final = Section("certificate", _CertificateFields, _build_certificate)
"""The certificate of something that has one only."""


class _Fields:
    address = Field("address", Address(), "Host and port; port 0 lets the system choose.", required=True)
    certificates = Field(
        "certificates",
        ListOf(CERTIFICATE, 1),
        "With certificates the listener speaks TLS; the first one serves names that none is made for.",
    )


def _build(values: Values) -> Listen:
    host, port = values[_Fields.address]
    return Listen(host, port, values.get(_Fields.certificates) or ())


LISTENER: Final = Section("listen[]", _Fields, _build)


@dataclass(frozen=True, slots=True)
class _Plain:
    shape: str = Address().shape

    def read(self, node: Node, at: str, reading: Reading) -> Listen:
        """Return a listener without TLS."""
        return Listen(*Address().read(node, at, reading))

    def schema(self) -> Json:
        """Return an address."""
        return Address().schema()


LISTEN: Final = Either(_Plain(), LISTENER)
