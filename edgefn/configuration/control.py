"""The configuration of a control plane: text -> `ControlSettings`. Pure."""

from typing import Final

from edgefn.configuration.blob_stores import BLOBS
from edgefn.configuration.document import parse
from edgefn.configuration.guarding import SANDBOX, SIGNATURES
from edgefn.configuration.kinds import Address, Duration, FilePath, Text, Whole
from edgefn.configuration.listening import ONE_CERTIFICATE
from edgefn.configuration.location import STORES
from edgefn.configuration.reading import Field, Reading, Section, Values, WrongError
from edgefn.configuration.shapes import OneOrMany
from edgefn.model.control_settings import ControlSettings, NatsSettings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import SandboxSettings, SignatureSettings

_SERVER: Final = Text("an address such as nats://10.0.0.1:4222", r"(?:nats|tls)://[A-Za-z0-9_.:\[\]-]+")

_CLUSTER: Final = 3
_SHORTEST: Final = 4.0
_DAY: Final = 86_400.0


class _NatsFields:
    servers = Field("servers", OneOrMany(_SERVER), "The servers that are there. Default: one of its own.")
    listen = Field("listen", Address(), "Where its own server listens; locations must reach it.", "127.0.0.1:4222")
    locations = Field("locations", OneOrMany(_SERVER), "The addresses that locations use. Default: the same.")
    copies = Field("copies", Whole(1, 5), "Copies of everything. Default: 1, or 3 where `servers` names three.")
    ca_file = Field(
        "ca_file",
        FilePath("a path of a PEM file"),
        "Who must have signed the certificates of servers at tls://; locations get it when they join. Default: whoever "
        "the system trusts.",
    )
    tls = Field("tls", ONE_CERTIFICATE, "The certificate of its own server, which then speaks TLS only.")


def _build_nats(values: Values) -> NatsSettings:
    servers = tuple(values.get(_NatsFields.servers) or ())
    return NatsSettings(
        servers,
        values[_NatsFields.listen],
        tuple(values.get(_NatsFields.locations) or ()),
        values.get(_NatsFields.copies) or (_CLUSTER if len(servers) >= _CLUSTER else 1),
        values.get(_NatsFields.ca_file) or "",
        values.get(_NatsFields.tls),
    )


NATS: Final = Section("nats", _NatsFields, _build_nats)


class _Fields:
    admin = Field("admin", Address(), "Where the control API is; keep it private.", "127.0.0.1:8090")
    tls = Field("tls", ONE_CERTIFICATE, "The certificate of the control API, which is at https:// then.")
    data_dir = Field("data_dir", FilePath("a path of a directory"), "Keys, tokens, logs.", "./control")
    nats = Field("nats", NATS, "What the fleet speaks through.")
    credentials_lifetime = Field(
        "credentials_lifetime",
        Duration(_SHORTEST, 90 * _DAY),
        "How long a location's credentials hold; it gets fresh ones when half of that is over.",
        "7d",
    )
    blobs = Field("blobs", BLOBS, "An object store for large bundles. Without one, all come from NATS.")
    signatures = Field("signatures", SIGNATURES, "Who may publish.")
    sandbox = Field("sandbox", SANDBOX, "How functions are shut in when they are tried.")
    kvs = Field(
        "kvs",
        STORES,
        "Key-value stores with which functions are tried here, by name; where one is missing, with an empty one. Each "
        "location has its own.",
    )


def _build(values: Values) -> ControlSettings:
    return ControlSettings(
        values[_Fields.admin],
        values[_Fields.data_dir],
        values.get(_Fields.nats) or NatsSettings(),
        values.get(_Fields.signatures) or SignatureSettings(),
        values.get(_Fields.sandbox) or SandboxSettings(),
        values[_Fields.credentials_lifetime],
        values.get(_Fields.tls),
        values.get(_Fields.blobs),
        values.get(_Fields.kvs) or {},
    )


CONTROL: Final = Section("", _Fields, _build)


def load_control(text: str, *, filename: str, base: str) -> ControlSettings:
    """Return the settings in `text`; relative paths are seen from `base`. Raises `SettingsError` with all problems."""
    reading = Reading(base)
    try:
        settings = CONTROL.read(parse(text, filename, needs="`data_dir: ./control`, for a start"), "", reading)
    except WrongError as error:
        raise SettingsError((f"{filename}:{error.line}: the file {error.what}",)) from error
    if reading.problems:
        raise SettingsError(tuple(f"{filename}:{line}: {what}" for line, what in sorted(reading.problems)))
    return settings
