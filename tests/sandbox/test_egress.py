"""A function reaches the hosts that its setting names, by their names, and nothing else."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from edgefn.sandbox.process.allowance import Allowance, allowances, hosts_file, names, refusal
from edgefn.sandbox.process.egress import Bounds, Egress
from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.names import answer
from tests.sandbox.probing import Laboratory, laboratory


def test_every_host_has_its_own_address_inside() -> None:
    allowed = allowances(
        ["api.example.com:443", "API.example.com.:80", "db.example.com:5432", "10.0.0.5:6379", "localhost:9000"]
    )
    assert allowed == (
        Allowance("api.example.com", 443, "127.1.0.1", explicit=False),
        Allowance("api.example.com", 80, "127.1.0.1", explicit=False),
        Allowance("db.example.com", 5432, "127.1.0.2", explicit=False),
        Allowance("10.0.0.5", 6379, "10.0.0.5", explicit=True),
        Allowance("localhost", 9000, "127.0.0.1", explicit=True),
    )
    assert names(allowed) == {"api.example.com": "127.1.0.1", "db.example.com": "127.1.0.2"}
    assert "127.1.0.2 db.example.com\n" in hosts_file(allowed)
    assert "10.0.0.5" not in hosts_file(allowed)


@pytest.mark.parametrize(
    "entry",
    ["example.com", "example.com:", ":80", "example.com:0", "example.com:65536", "example.com:http", "ex ample.com:80",
     "a\nb:80", "[2001:db8::1]:80", "..:80", f"{'a' * 64}.com:80", "*.example.com:443", "http://example.com:80"],
)  # fmt: skip
def test_what_is_no_destination_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="host"):
        allowances([entry])


def test_a_function_has_so_many_destinations_and_no_more() -> None:
    with pytest.raises(ValueError, match="64 network destinations"):
        allowances([f"host{number}.example.com:443" for number in range(65)])


NAMED = Allowance("api.example.com", 443, "127.1.0.1", explicit=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1",
        "2001:db8::1",
    ],
)  # fmt: skip
def test_a_name_does_not_lead_inside(address: str) -> None:
    assert refusal(NAMED, address) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_a_name_leads_to_the_internet(address: str) -> None:
    assert refusal(NAMED, address) is None


def test_mail_is_not_sent_unless_the_operator_names_the_very_address() -> None:
    assert "port 25" in (refusal(Allowance("mx.example.com", 25, "127.1.0.1", explicit=False), "1.1.1.1") or "")
    assert refusal(Allowance("10.0.0.25", 25, "10.0.0.25", explicit=True), "10.0.0.25") is None
    assert refusal(Allowance("localhost", 9000, "127.0.0.1", explicit=True), "127.0.0.1") is None


def query(name: str, kind: int = 1, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 77, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def verdict_of(reply: bytes | None) -> tuple[int, int]:
    """Return (response code, number of answers)."""
    assert reply is not None
    number, flags, questions, answers, *_ = struct.unpack_from("!6H", reply)
    assert (number, flags & 0x8000, questions) == (77, 0x8000, 1)
    return flags & 0xF, answers


def test_an_allowed_name_has_an_address_and_others_do_not_exist() -> None:
    known = {"api.example.com": "127.1.0.1"}
    reply = answer(query("API.example.com"), known)
    assert reply is not None
    assert reply.endswith(socket.inet_aton("127.1.0.1"))
    assert verdict_of(reply) == (0, 1)
    assert verdict_of(answer(query("api.example.com", kind=28), known)) == (0, 0)
    assert verdict_of(answer(query("secret.evil.test"), known)) == (3, 0)
    assert verdict_of(answer(query("api.example.com", flags=0x2800), known)) == (4, 0)


@pytest.mark.parametrize(
    "datagram",
    [b"", b"x" * 11, query("a.b")[:-1], query("a.b", flags=0x8000), struct.pack("!6H", 1, 0, 2, 0, 0, 0) + b"\0" * 9,
     struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\x01\0\x01",
     struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\x3f" * 600],
)  # fmt: skip
def test_rubbish_is_not_answered(datagram: bytes) -> None:
    assert answer(datagram, {}) is None


class Origin:
    """A server on the host that answers with what it was sent, in capitals, once the other side has finished."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.write((await reader.read()).upper())
        writer.close()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    made = Origin()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory() as made:
        yield made


TALK = {
    Language.PYTHON: """
import errno, socket
def talk(host, port):
    try:
        with socket.create_connection((host, port), timeout=5) as s:
            s.sendall(b"hello")
            s.shutdown(socket.SHUT_WR)
            return s.makefile().read()
    except socket.gaierror as error:
        return "no such name"
    except OSError as error:
        return errno.errorcode[error.errno]
result = [talk(host, port) for host, port in %s]
""",
    Language.NODE: """
const net = require('net');
const result = [];
for (const [host, port] of %s) {
  result.push(await new Promise((done) => {
    let text = '';
    const s = net.connect({ host, port }, () => s.end('hello'));
    s.on('data', (piece) => { text += piece; });
    s.on('end', () => done(text));
    s.on('error', (error) => done(error.code === 'ENOTFOUND' ? 'no such name' : error.code));
  }));
}
return result;
""",
}


@pytest.mark.parametrize("language", list(Language))
async def test_the_allowed_host_is_reached_and_no_other(lab: Laboratory, origin: Origin, language: Language) -> None:
    probe = await lab.start(language, network=(f"localhost:{origin.port}", f"127.0.0.1:{origin.port}"))
    asked: list[tuple[str, int]] = [("localhost", origin.port), ("127.0.0.1", origin.port)]
    asked += [("127.0.0.1", 1), ("evil.test", 80), ("192.0.2.1", 80)]
    found = await probe.ask(TALK[language] % json.dumps(asked))
    assert found == ["HELLO", "HELLO", "ECONNREFUSED", "no such name", "ENETUNREACH"]
    assert origin.visits == 2


async def test_a_name_that_leads_to_the_host_is_cut_off(
    lab: Laboratory, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's owner runs the DNS of their name, and lets it lead to our admin port."""
    loop = asyncio.get_running_loop()

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == "rebound.example.com"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    probe = await lab.start(network=(f"rebound.example.com:{origin.port}",))
    found = await probe.ask(TALK[Language.PYTHON] % json.dumps([("rebound.example.com", origin.port)]))
    assert found != ["HELLO"]
    assert origin.visits == 0


async def test_the_way_out_of_one_sandbox_is_not_open_to_another(lab: Laboratory, origin: Origin) -> None:
    await lab.start(network=(f"127.0.0.1:{origin.port}",))
    other = await lab.start()
    assert await other.ask(TALK[Language.PYTHON] % json.dumps([("127.0.0.1", origin.port)])) == ["ECONNREFUSED"]
    assert origin.visits == 0


async def relayed(lab: Laboratory, origin: Origin, bounds: Bounds, code: str) -> object:
    probe = await lab.start()
    egress = Egress(allowances([f"127.0.0.1:{origin.port}"]), bounds)
    await egress.open(probe.reaper())
    try:
        return await probe.ask(f"PORT = {origin.port}\n" + code)
    finally:
        await egress.close()


async def test_bytes_are_bounded(lab: Laboratory, origin: Origin) -> None:
    flood = """
import socket
s = socket.create_connection(("127.0.0.1", PORT))
result = 0
try:
    while True:
        s.sendall(bytes(65536))
        result += 65536
except OSError:
    pass
"""
    sent = await relayed(lab, origin, Bounds(bytes=1 << 20), flood)
    assert isinstance(sent, int)
    assert sent < 1 << 25


async def test_connections_are_bounded(lab: Laboratory, origin: Origin) -> None:
    hoard = """
import socket
held = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(3)]
held[2].settimeout(5)
try:
    result = held[2].recv(1).decode()
except OSError as error:
    result = ""
"""
    assert await relayed(lab, origin, Bounds(connections=2), hoard) == ""


async def test_an_idle_connection_is_ended(lab: Laboratory, origin: Origin) -> None:
    wait = "import socket\ns = socket.create_connection(('127.0.0.1', PORT), timeout=10)\nresult = s.recv(1).decode()"
    assert await relayed(lab, origin, Bounds(idle_timeout=0.05), wait) == ""


async def test_the_host_network_is_never_listened_on(lab: Laboratory) -> None:
    """Even when it is given our own pid, the helper opens nothing here."""
    egress = Egress(allowances(["localhost:9"]))
    with pytest.raises(LaunchError, match="No listener"):
        await egress.open(os.getpid())
    await egress.close()
    assert (await lab.start()).reaper() > 0
