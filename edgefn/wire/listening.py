"""The sockets that viewers come to."""

import asyncio
import errno

from edgefn.model.errors import SettingsError
from edgefn.model.settings import Listen, ViewerLimits
from edgefn.wire.application import Application
from edgefn.wire.connections import Connections
from edgefn.wire.inbound import Inbound
from edgefn.wire.tls import Certificates, Loaded

_BACKLOG = 1_024

FreshCertificates = list[tuple[Certificates, Loaded]]
"""Each address's certificates, and what to use for them."""

_REASONS = {
    errno.EADDRINUSE: "it is in use; stop what listens there, or choose another port",
    errno.EADDRNOTAVAIL: "it is no address of this machine; write one that is, or 0.0.0.0 for all",
    errno.EACCES: "it is below 1024 and needs root's rights; choose a higher port, or grant CAP_NET_BIND_SERVICE",
}


def unavailable(host: str, port: int, error: OSError) -> str:
    """Return why `host:port` can't be listened on, and what to do."""
    return f"{host}:{port} can't be had: {_REASONS.get(error.errno or 0, error.strerror)}"


class Listening:
    """Accepts viewers and answers them by an `Application`."""

    def __init__(self, application: Application, limits: ViewerLimits) -> None:
        self._application = application
        self._limits = limits
        self._connections = Connections()
        self._servers: list[asyncio.Server] = []
        self._certificates: list[Certificates] = []

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Return (ip, port) of each listening socket, with the port that the system chose for port 0."""
        return tuple(sock.getsockname()[:2] for server in self._servers for sock in server.sockets)

    async def start(self, listen: tuple[Listen, ...], *, reuse_port: bool = False) -> None:
        """Accept on all of `listen`, or on none. `reuse_port`: other workers accept there too.

        Raises `SettingsError` for a certificate, or an address that can't be had.
        """
        try:
            for address in listen:
                await self._listen(address, reuse_port=reuse_port)
        except SettingsError:
            self._stop_accepting()
            raise

    def swap(self, application: Application, limits: ViewerLimits) -> None:
        """Answer every new request by these, also on connections that are open. Requests under way are not touched."""
        self._application = application
        self._limits = limits
        self._connections.adopt(application, limits)

    def load_certificates(self) -> FreshCertificates:
        """Read the certificates of all addresses as they are on disk now. Changes nothing.

        Raises `SettingsError` that names every broken file. May be called on any thread.
        """
        fresh: list[tuple[Certificates, Loaded]] = []
        problems: list[str] = []
        for certificates in tuple(self._certificates):
            try:
                fresh.append((certificates, certificates.load()))
            except SettingsError as error:
                problems += error.problems
        if problems:
            raise SettingsError(tuple(problems))
        return fresh

    def use_certificates(self, fresh: FreshCertificates) -> None:
        """Use these for new connections."""
        for certificates, loaded in fresh:
            certificates.use(loaded)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on, and what happens then is the point
        """Stop accepting; let requests under way finish for `timeout` seconds, then abort what is left."""
        self._stop_accepting()
        await self._connections.drain(timeout)

    async def _listen(self, address: Listen, *, reuse_port: bool) -> None:
        certificates = Certificates(address.certificates) if address.certificates else None
        try:
            server = await asyncio.get_running_loop().create_server(
                self._connection,
                address.host,
                address.port,
                ssl=None if certificates is None else certificates.context,
                # Waiting for the viewer's goodbye; a slow one must still get all that was written.
                ssl_shutdown_timeout=None if certificates is None else self._limits.stall_timeout,
                ssl_handshake_timeout=None if certificates is None else self._limits.headers_timeout,
                backlog=_BACKLOG,
                reuse_port=reuse_port,
            )
        except OSError as error:
            raise SettingsError((f"listen: {unavailable(address.host, address.port, error)}",)) from error
        self._servers.append(server)
        if certificates is not None:
            self._certificates.append(certificates)

    def _connection(self) -> Inbound:
        return Inbound(self._application, self._limits, self._connections)

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
