"""Run as a program: open listeners inside a sandbox's network and hand them to the proxy. Standard library only.

Arguments are "tcp:ADDRESS:PORT" and "udp:ADDRESS:PORT"; fd 3 is a Unix socket to the proxy, fd 4 the sandbox's network
namespace. It enters the namespace for a few milliseconds and holds nothing of the proxy's, so that a big process need
not fork to do it.
"""

import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
import sys

_PROXY_FD, _NETWORK_FD = 3, 4
_NS_GET_USERNS = 0xB701
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_SIOCSIFADDR = 0x8916
_BACKLOG = 64


def _enter(namespace: int, kind: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, kind) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _take_address(number: int, address: str) -> None:
    """Give the loopback interface an address beside its own, as an alias."""
    if ipaddress.ip_address(address).is_loopback:
        return
    request = struct.pack("16sHH4s8x", f"lo:{number}".encode(), socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFADDR, request)


def _listener(kind: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    # The interface may not be up yet.
    freely = (socket.SOL_IP, _IP_FREEBIND) if family == socket.AF_INET else (socket.IPPROTO_IPV6, _IPV6_FREEBIND)
    listener.setsockopt(*freely, 1)
    listener.bind((address, port))
    if kind == "tcp":
        listener.listen(_BACKLOG)
    return listener


def main(wanted: list[str]) -> int:
    """Open what is wanted and send it, or the reason why not."""
    proxy = socket.socket(fileno=_PROXY_FD)
    try:
        owner = fcntl.ioctl(_NETWORK_FD, _NS_GET_USERNS)
        if os.fstat(_NETWORK_FD).st_ino == os.stat("/proc/self/ns/net").st_ino:
            raise OSError("this is the host's own network")
        _enter(owner, _CLONE_NEWUSER)
        _enter(_NETWORK_FD, _CLONE_NEWNET)
        listeners = []
        for number, entry in enumerate(wanted):
            kind, _, place = entry.partition(":")
            address, _, port = place.rpartition(":")
            _take_address(number, address)
            listeners.append(_listener(kind, address, int(port)))
        socket.send_fds(proxy, [b"k"], [listener.fileno() for listener in listeners])
    except OSError as error:
        proxy.sendall(f"e{error}".encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
