"""Certificates by name, replaced while viewers are connected."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgefn.model.errors import SettingsError
from edgefn.model.message import BytesBody, Request, Response
from edgefn.model.settings import Certificate, Listen, ViewerLimits
from edgefn.wire.listening import Listening
from edgefn.wire.tls import Certificates
from tests.fakes.front import FakeApplication, FakeViewer, Front, said

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def write_certificate(path: Path, common_name: str, *names: str) -> Certificate:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36_500))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    certificate = builder.sign(key, hashes.SHA256())
    path.with_suffix(".pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(str(path.with_suffix(".pem")), str(path.with_suffix(".key")))


def spoil(certificate: Certificate) -> None:
    Path(certificate.certificate).write_text("nonsense")


@asynccontextmanager
async def serving_tls(
    *certificates: Certificate, application: FakeApplication | None = None, limits: ViewerLimits | None = None
) -> AsyncIterator[Front]:
    application = application or FakeApplication()
    listening = Listening(application, limits or ViewerLimits())
    await listening.start((Listen("127.0.0.1", 0, certificates),))
    try:
        yield Front(listening, application)
    finally:
        await listening.drain(0)


def trusting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@asynccontextmanager
async def visiting(
    front: Front, name: str | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[FakeViewer]:
    host, port = front.listening.addresses[0]
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context or trusting_all(), server_hostname=name if name is not None else ""
    )
    try:
        yield FakeViewer(reader, writer)
    finally:
        writer.transport.abort()


def shown(viewer: FakeViewer) -> str:
    """Return the common name of the certificate that the viewer was shown."""
    der = viewer.writer.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.fixture
def first(tmp_path: Path) -> Certificate:
    return write_certificate(tmp_path / "first", "first", "a.example", "Both.example")


@pytest.fixture
def second(tmp_path: Path) -> Certificate:
    return write_certificate(tmp_path / "second", "second", "*.wild.example", "wild.example", "both.example")


async def test_requests_over_tls_carry_version_and_cipher(first: Certificate) -> None:
    async with serving_tls(first) as front, visiting(front) as viewer:
        await viewer.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" + GET)
        assert (await viewer.reply()).body == b"PUT /a"
        assert (await viewer.reply()).body == b"GET /"
        tls = front.application.asked[0].viewer.tls
        assert tls is not None
        assert tls[0] == "TLSv1.3"
        assert tls[1].startswith("TLS_")
        assert viewer.writer.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example", "first"),
        ("A.EXAMPLE", "first"),
        ("both.example", "first"),
        ("x.wild.example", "second"),
        ("wild.example", "second"),
        ("x.y.wild.example", "first"),
        ("unknown.example", "first"),
        (None, "first"),
    ],
)
async def test_the_name_chooses_the_certificate(
    first: Certificate, second: Certificate, name: str | None, expected: str
) -> None:
    async with serving_tls(first, second) as front, visiting(front, name) as viewer:
        assert shown(viewer) == expected
        await viewer.send(GET)
        assert (await viewer.reply()).status == 200


async def test_a_reload_shows_the_new_certificate_and_keeps_connections(tmp_path: Path, first: Certificate) -> None:
    async with serving_tls(first) as front, visiting(front) as before:
        assert shown(before) == "first"
        write_certificate(tmp_path / "first", "renewed", "a.example")
        front.listening.use_certificates(front.listening.load_certificates())
        async with visiting(front, "a.example") as after, visiting(front) as nameless:
            assert (shown(after), shown(nameless)) == ("renewed", "renewed")
            for viewer in (before, after):
                await viewer.send(GET)
                assert (await viewer.reply()).status == 200


async def test_a_broken_certificate_is_named_and_the_old_one_stays(first: Certificate, second: Certificate) -> None:
    async with serving_tls(first, second) as front:
        spoil(second)
        with pytest.raises(SettingsError, match=f"{second.certificate}: is no PEM certificate"):
            front.listening.use_certificates(front.listening.load_certificates())
        async with visiting(front, "wild.example") as viewer:
            assert shown(viewer) == "second"


def test_every_broken_file_is_named(tmp_path: Path, first: Certificate, second: Certificate) -> None:
    with pytest.raises(SettingsError) as raised:
        Certificates(
            (
                Certificate(first.certificate, second.key),
                Certificate(first.certificate, str(tmp_path / "missing.key")),
                Certificate(str(tmp_path / "missing.pem"), first.key),
                Certificate(first.key, first.key),
            )
        )
    problems = raised.value.problems
    assert len(problems) == 4
    assert problems[0].startswith(f"{second.key}: is not the key of {first.certificate}")
    assert problems[1].startswith(f"{tmp_path / 'missing.key'}: can't be read")
    assert problems[2].startswith(f"{tmp_path / 'missing.pem'}: can't be read")
    assert problems[3].startswith(f"{first.key}: is no PEM certificate")


def test_an_encrypted_key_is_refused_without_asking(tmp_path: Path, first: Certificate) -> None:
    key = serialization.load_pem_private_key(Path(first.key).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(SettingsError, match=r"locked\.key"):
        Certificates((Certificate(first.certificate, str(locked)),))


async def test_a_certificate_without_names_serves_as_the_default(tmp_path: Path) -> None:
    nameless = write_certificate(tmp_path / "nameless", "nameless")
    async with serving_tls(nameless) as front, visiting(front, "any.example") as viewer:
        assert shown(viewer) == "nameless"


async def test_old_versions_are_refused(first: Certificate) -> None:
    old = trusting_all()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving_tls(first) as front:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with visiting(front, context=old):
                pass
        async with visiting(front) as viewer:
            assert shown(viewer) == "first"


async def test_a_viewer_that_speaks_no_tls_gets_nothing(first: Certificate) -> None:
    async with serving_tls(first) as front, front.viewer() as viewer:
        await viewer.send(GET)
        assert not (await viewer.rest()).startswith(b"HTTP")
        assert front.application.asked == []


async def test_a_refusal_and_a_big_answer_arrive_whole_over_tls(first: Certificate) -> None:
    big = bytes(range(256)) * 20_000

    async def answer(request: Request) -> Response:
        return Response(200, "OK", said("").headers, BytesBody(big))

    async with serving_tls(first, application=FakeApplication(answering=answer)) as front:
        async with visiting(front) as viewer:
            await viewer.send("GET / HTTP/1.0\r\n\r\n")
            assert (await viewer.reply()).body == big
            assert await viewer.rest() == b""
        async with visiting(front) as viewer:
            await viewer.send("GET / HTTP/3.0\r\nHost: h\r\n\r\n")
            assert (await viewer.reply()).status == 505
            assert await viewer.rest() == b""
