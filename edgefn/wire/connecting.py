"""New connections to origins: name, address, TLS, and what each failure is called."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.origin import PEM_BEGIN, Origin
from edgefn.wire.origin_tls import TlsContexts, TlsSettings
from edgefn.wire.resolving import Resolvers

_Connection = TypeVar("_Connection", bound=asyncio.Protocol)
_AWS_METADATA = ipaddress.ip_network("fd00:ec2::/32")
_OTHER_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Means: TypeAlias = tuple[ssl.SSLContext | None, Callable[[], _Connection]]


class OriginKey(NamedTuple):
    """What a connection is for: requests with the same key may share it. `address` is "host:port"."""

    protocol: str
    address: str
    domain: str
    tls: TlsSettings | None


def origin_key(origin: Origin) -> OriginKey:
    """Return the key of the connections that may serve `origin`."""
    tls = TlsSettings(origin.tls_verify, origin.tls_ca, origin.ssl_protocols) if origin.protocol == "https" else None
    return OriginKey(origin.protocol, _connect_address(origin), origin.domain, tls)


def _connect_address(origin: Origin) -> str:
    """Return the "host:port" where to connect."""
    return origin.address or f"{origin.domain}:{origin.port}"


def origin_failed(failure: OriginFailure, origin: Origin, why: str) -> OriginError:
    """Return the error that names the origin and the address."""
    return OriginError(failure, f"origin {origin.id} at {_connect_address(origin)}: {why}")


def is_off_limits(address: str) -> bool:
    """Return whether an IP address is none that a function may choose: the metadata services of clouds, mostly."""
    ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _AWS_METADATA or ip in _OTHER_METADATA


def _inner(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one leads to, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


class Connector:
    """Opens connections for one worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._resolvers = Resolvers(loop)
        self._contexts = TlsContexts()

    async def connect(self, origin: Origin, attempt: int, protocol: Callable[[], _Connection]) -> _Connection:
        """Return a connection to `origin`, made within its connect_timeout. Raises `OriginError`.

        The addresses of its name are tried in turn; a later `attempt` (counted from 0) begins with another one,
        lest a dead address takes the whole time again.
        """
        context = self._context(origin)
        try:
            async with asyncio.timeout(origin.connect_timeout):
                hosts, port = await self._resolve(origin)
                first = attempt % len(hosts)
                return await self._reach(origin, (*hosts[first:], *hosts[:first]), port, (context, protocol))
        except ssl.SSLError as error:
            raise origin_failed(OriginFailure.TLS, origin, f"TLS failed: {error}") from error
        except TimeoutError as error:
            why = f"no connection within {origin.connect_timeout:g} s"
            raise origin_failed(OriginFailure.CONNECT_TIMEOUT, origin, why) from error
        except OSError as error:
            raise origin_failed(OriginFailure.CONNECT, origin, f"no connection: {error}") from error

    def close(self) -> None:
        """Look up no more names."""
        self._resolvers.close()

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        settings = origin_key(origin).tls
        if settings is None:
            return None
        try:
            return self._contexts.context(settings)
        except OSError as error:
            where = "tls.ca" if (origin.tls_ca or "").startswith(PEM_BEGIN) else origin.tls_ca
            why = f"the certificate authorities in {where} can't be read: {error}"
            raise origin_failed(OriginFailure.TLS, origin, why) from error

    async def _resolve(self, origin: Origin) -> tuple[tuple[str, ...], int]:
        host, _, port = _connect_address(origin).rpartition(":")
        is_chosen = not origin.id and origin.address is None
        resolver = self._resolvers.chosen if is_chosen else self._resolvers.configured
        try:
            addresses, number = await resolver.addresses(host.strip("[]")), int(port)
        except (OSError, ValueError) as error:
            raise origin_failed(OriginFailure.DNS, origin, f"the name has no address: {error}") from error
        if is_chosen:
            addresses = tuple(address for address in addresses if not is_off_limits(address))
            if not addresses:
                raise origin_failed(OriginFailure.REFUSED, origin, "a function may not choose this address")
        return addresses, number

    async def _reach(
        self,
        origin: Origin,
        hosts: tuple[str, ...],
        port: int,
        means: "_Means[_Connection]",
    ) -> _Connection:
        name = None if means[0] is None else origin.domain
        for host in hosts[:-1]:
            try:
                return await self._reach_one(host, port, means, name)
            except ssl.SSLError:
                raise
            except OSError:
                continue  # refused, or no way there: another address may do
        return await self._reach_one(hosts[-1], port, means, name)

    async def _reach_one(self, host: str, port: int, means: "_Means[_Connection]", name: str | None) -> _Connection:
        context, protocol = means
        _, connection = await self._loop.create_connection(protocol, host, port, ssl=context, server_hostname=name)
        return connection
