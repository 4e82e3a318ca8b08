"""Ports that are told to a program before it listens on them, and that no other test can get in between.

A port that was bound once and let go belongs to the next socket that asks for any: of another test, or a connection.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CLAIMS = Path(tempfile.gettempdir()) / f"edgefn-test-ports-{os.getuid()}"
_POOL = 8_000


def free_port() -> int:
    """Return a port that the kernel gives to nobody and that this test process alone uses until it ends."""
    return next(_UNTRIED)


def _claimed() -> Iterator[int]:
    _CLAIMS.mkdir(mode=0o700, exist_ok=True)
    for port in _outside_the_ephemeral():
        # The lock ends with this process; the file stays for the next one.
        claim = os.open(_CLAIMS / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(claim)
        else:
            yield port
    raise RuntimeError(f"all {_POOL} ports are taken")


def _outside_the_ephemeral() -> list[int]:
    first, last = map(int, _EPHEMERAL.read_text().split())
    below, above = range(max(10_000, first - _POOL), first), range(last + 1, min(last + 1 + _POOL, 65_536))
    pool = [*max(below, above, key=len)]
    assert pool, f"{_EPHEMERAL} leaves no port to choose"
    start = os.getpid() * 97 % len(pool)  # so that processes side by side do not try the same ones
    return pool[start:] + pool[:start]


_UNTRIED = _claimed()
