"""TLS towards origins, with certificates made here."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgefn.model.errors import OriginFailure
from edgefn.wire.origin_tls import TlsContexts, TlsSettings, protocol_bounds
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, answering, ok
from tests.wire.asking import asker, content

SECURE = {"protocol": "https", "domain": "app.example"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for app.example and 127.0.0.1; return the PEM file of it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    names = [x509.DNSName("app.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "origin.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_of_the_given_authority_is_accepted_for_its_name(certificate: Path) -> None:
    names: list[str | None] = []
    context = serving(certificate)
    context.sni_callback = lambda _connection, name, _context: names.append(name)
    async with (
        ScriptedOrigin(answering(ok()), tls=context) as origin,
        asker(origin, **SECURE, address=origin.address, tls_ca=str(certificate)) as app,
    ):
        assert await app.get() == await app.get() == b"hello"
    assert names == ["app.example"]
    assert origin.connections == 1
    assert origin.requests[0].header("host") == "app.example"


async def test_an_unknown_authority_is_refused_and_not_tried_again(certificate: Path) -> None:
    async with (
        ScriptedOrigin(answering(ok()), tls=serving(certificate)) as origin,
        asker(origin, **SECURE, address=origin.address) as app,
    ):
        failure, why = await app.failure()
        assert failure is OriginFailure.TLS
        assert "certificate verify failed" in why
        assert app.outcomes == ["OriginTlsError"]
        assert app.connections == (0, 0)
    assert origin.requests == []


async def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    settings = {**SECURE, "domain": "other.example"}
    async with (
        ScriptedOrigin(answering(ok()), tls=serving(certificate)) as origin,
        asker(origin, **settings, address=origin.address, tls_ca=str(certificate)) as app,
    ):
        failure, why = await app.failure()
        assert failure is OriginFailure.TLS
        assert "other.example" in why


async def test_verification_can_be_turned_off(certificate: Path) -> None:
    async with (
        ScriptedOrigin(answering(ok()), tls=serving(certificate)) as origin,
        asker(origin, protocol="https", tls_verify=False) as app,
    ):
        assert await app.get() == b"hello"


async def test_other_tls_settings_are_other_connections(certificate: Path) -> None:
    async with (
        ScriptedOrigin(answering(ok()), tls=serving(certificate)) as origin,
        asker(origin, **SECURE, address=origin.address, tls_ca=str(certificate)) as app,
    ):
        await app.get(tls_verify=False)
        await app.get()
        await app.get(tls_verify=False)
        assert app.connections == (0, 2)


async def test_an_origin_without_tls_is_a_tls_failure() -> None:
    async def plain(conversation: Conversation) -> None:
        await conversation.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await conversation.stall()

    async with ScriptedOrigin(plain) as origin, asker(origin, protocol="https") as app:
        assert (await app.failure())[0] is OriginFailure.TLS


async def test_a_version_that_the_origin_does_not_speak_is_a_tls_failure(certificate: Path) -> None:
    context = serving(certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with (
        ScriptedOrigin(answering(ok()), tls=context) as origin,
        asker(origin, protocol="https", tls_verify=False) as app,
    ):
        assert (await app.failure(ssl_protocols=("TLSv1", "TLSv1.1")))[0] is OriginFailure.TLS
        assert await app.get(ssl_protocols=("TLSv1.2",)) == b"hello"


async def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    async with (
        ScriptedOrigin(answering(ok())) as origin,
        asker(origin, protocol="https", tls_ca=str(tmp_path / "none.pem")) as app,
    ):
        failure, why = await app.failure()
        assert failure is OriginFailure.TLS
        assert "none.pem" in why


async def test_a_large_body_comes_through_tls_whole(certificate: Path) -> None:
    big = bytes(range(256)) * 8_000
    async with (
        ScriptedOrigin(answering(ok(big)), tls=serving(certificate)) as origin,
        asker(origin, protocol="https", tls_verify=False) as app,
    ):
        assert await content(await app.send()) == big
        assert app.connections == (0, 1)


@pytest.mark.parametrize(
    ("names", "lowest", "highest"),
    [
        (("TLSv1.2",), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        (("TLSv1", "TLSv1.2"), ssl.TLSVersion.TLSv1, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        (("SSLv3", "TLSv1", "TLSv1.1"), ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
        (("TLSv1.3",), ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        (("SSLv3",), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        ((), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    ],
)
def test_protocol_names_bound_the_versions(
    names: tuple[str, ...], lowest: ssl.TLSVersion, highest: ssl.TLSVersion
) -> None:
    assert protocol_bounds(names) == (lowest, highest)


def test_a_context_is_made_once_for_the_same_settings() -> None:
    contexts = TlsContexts()
    settings = TlsSettings(verify=True, ca=None, protocols=("TLSv1.2",))
    assert contexts.context(settings) is contexts.context(TlsSettings(*settings))
    assert contexts.context(settings) is not contexts.context(settings._replace(verify=False))
