"""The configuration of a control plane, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgefn.model.settings import Certificate, SandboxSettings, SignatureSettings


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """The NATS that a fleet speaks through: `servers` that are there, or with none a server of its own at `listen`.

    `locations` are the addresses that locations use, where they differ. `copies` of everything: 3 on a cluster.
    `ca_file` holds the authorities that we and locations trust for servers at tls://, "" for the system's; `tls` is the
    certificate of the server of our own.
    """

    servers: tuple[str, ...] = ()
    listen: tuple[str, int] = ("127.0.0.1", 4222)
    locations: tuple[str, ...] = ()
    copies: int = 1
    ca_file: str = ""
    tls: Certificate | None = None


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """The object store that has bundles of `least` bytes or more besides the fleet's NATS. `options` may be secret."""

    url: str
    least: int = 1024 * 1024
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """One control plane. A location's credentials hold for `credentials_lifetime` seconds; `tls` is the certificate of
    the control API, which speaks in clear without one. `kvs` are the absolute paths of the key-value stores with which
    functions are tried.
    """

    admin: tuple[str, int] = ("127.0.0.1", 8090)
    data_dir: str = "./control"
    nats: NatsSettings = field(default_factory=NatsSettings)
    signatures: SignatureSettings = field(default_factory=SignatureSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    credentials_lifetime: float = 7 * 86_400.0
    tls: Certificate | None = None
    blobs: BlobSettings | None = None
    kvs: Mapping[str, str] = field(default_factory=dict)
