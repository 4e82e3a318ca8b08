"""Certificate authorities in a configuration: the path of a PEM file, or the certificates themselves."""

import re
from typing import Final

from edgefn.configuration.document import Node
from edgefn.configuration.kinds import word
from edgefn.configuration.reading import Json, Reading, WrongError
from edgefn.model.origin import PEM_BEGIN

MAX_SIZE: Final = 64 * 1024
"""Bytes of the certificates of one origin."""

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_SECRET: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class AuthoritiesError(Exception):
    """A text holds no certificates that can be used. The message says why, and the cure."""


def certificates_in(text: str) -> str:
    """Return the certificates in a PEM text and nothing else of it. Raises `AuthoritiesError`."""
    from cryptography.x509 import load_pem_x509_certificate  # a tenth of a second, which most files can do without

    if _SECRET.search(text):
        raise AuthoritiesError("holds a private key, which must not leave its machine; name certificates only")
    blocks = _BLOCK.findall(text)
    if not blocks or len(blocks) != text.count(PEM_BEGIN):
        raise AuthoritiesError(f"holds no certificates in PEM; write {PEM_BEGIN} ... as an authority gives them")
    lines = ("\n".join(line.strip() for line in block.splitlines() if line.strip()) for block in blocks)
    found = [f"{block}\n" for block in dict.fromkeys(lines)]
    for number, block in enumerate(found, 1):
        try:
            load_pem_x509_certificate(block.encode())
        except ValueError:
            raise AuthoritiesError(f"certificate {number} of {len(found)} in it is damaged; get it anew") from None
    size = sum(map(len, found))
    if size > MAX_SIZE:
        cure = "name only those that sign this origin's certificate, or leave tls.ca out to trust each system's"
        raise AuthoritiesError(
            f"holds {len(found)} certificates, {size:,} bytes, and at most {MAX_SIZE:,} may be; {cure}"
        )
    return "".join(found)


class Authorities:
    """A path of a PEM file, or the certificates themselves: then they are what is returned."""

    shape: Final = "a path of a PEM file, or certificates in PEM"

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the path seen from the configuration's directory, or the certificates."""
        text = word(node, self.shape)
        if PEM_BEGIN in text:
            try:
                return certificates_in(text)
            except AuthoritiesError as error:
                raise WrongError(node.line, str(error)) from error
        if not text or "\0" in text or "\n" in text:
            raise WrongError(node.line, f"does not fit; write {self.shape}")
        return reading.absolute(text)

    def schema(self) -> Json:
        """Return a string."""
        return {"type": "string", "minLength": 1}
