"""Where a function may connect to: the rules of egress. Pure.

A sandbox has no network. For each allowed host there is an address of the sandbox's own loopback on which the proxy
listens, and relays. A function connects by the host's name as it would anywhere.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_HOSTS = 64
_MAIL = 25
_LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One allowed "host:port" and the address inside that stands for it.

    `explicit` says that the setting names an address, or localhost: then the operator means just that one.
    """

    host: str
    port: int
    inside: str
    explicit: bool


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _split(entry: str) -> tuple[str, int]:
    host, colon, port = entry.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower().rstrip(".")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'{entry!r} is not "host:port"')
    if _literal(host) is None and not _is_name(host):
        raise ValueError(f"{entry!r} has no valid host name")
    return host, int(port)


def _is_name(host: str) -> bool:
    """Say whether a host name fits into /etc/hosts and DNS as one word."""
    labels = host.split(".")
    return len(host) <= 253 and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    )


def allowances(network: Iterable[str]) -> tuple[Allowance, ...]:
    """Give every allowed host its address inside: 127.1.0.N, or its own when the setting names one.

    Raises ValueError for what is no "host:port", for an IPv6 address other than ::1, and for too many hosts.
    """
    found: dict[tuple[str, int], Allowance] = {}
    addresses: dict[str, str] = {_LOCALHOST: "127.0.0.1"}
    for entry in network:
        host, port = _split(entry)
        literal = _literal(host)
        if literal is not None and literal.version == 6 and not literal.is_loopback:
            raise ValueError(f"{entry!r}: name the host instead; an IPv6 address can't be given to a sandbox")
        if host not in addresses:
            addresses[host] = str(literal) if literal is not None else f"127.1.0.{len(addresses)}"
        explicit = literal is not None or host == _LOCALHOST
        found[addresses[host], port] = Allowance(host, port, addresses[host], explicit)
    if len(found) > _MOST_HOSTS:
        raise ValueError(f"a function may have {_MOST_HOSTS} network destinations, not {len(found)}")
    return tuple(found.values())


def names(allowed: Iterable[Allowance]) -> dict[str, str]:
    """Return the address inside of each allowed name."""
    return {each.host: each.inside for each in allowed if not each.explicit}


def hosts_file(allowed: Iterable[Allowance]) -> str:
    """Return the /etc/hosts inside."""
    lines = [f"{address} {name}" for name, address in names(allowed).items()]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost", *lines, ""])


def refusal(allowed: Allowance, address: str) -> str | None:
    """Return why the proxy must not connect to `address` for an allowed name, or None when it may.

    A name is in the hands of whoever runs its DNS, so one that leads to the inside of our network, to this machine
    or to the cloud's metadata is refused; so is mail. What the operator named by its address is allowed.
    """
    if allowed.explicit:
        return None
    if allowed.port == _MAIL:
        return "port 25 is refused: a function must not send mail"
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped or ip.sixtofour if ip.version == 6 else None
    for each in (ip, mapped):
        if each is not None and (not each.is_global or each.is_multicast):
            return f"{allowed.host} leads to {address}, which is not on the public internet"
    if ip.version == 6 and ip in _NAT64:
        return f"{allowed.host} leads to {address}, which translates to an IPv4 address"
    return None


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
