"""Object stores for large bundles: which one a fleet uses, and what is said to a provider."""

from typing import Final

from edgefn.configuration.kinds import Size, Text
from edgefn.configuration.reading import Field, Section, Values
from edgefn.configuration.shapes import MapOf
from edgefn.model.control_settings import BlobSettings

_MB: Final = 1024 * 1024
OPTIONS: Final = MapOf(
    Text("what the provider expects", r"[!-~]{1,4096}", is_secret=True),
    r"allow_http|(?:aws|google|azure|azure_storage)_[a-z0-9_]{1,60}",
    "an option of the provider, such as aws_region, or allow_http",
)
"""What is told to a provider, credentials among it; as obstore names it."""


class _Fields:
    url = Field(
        "url",
        Text(
            "s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix, https://host/path or "
            "file:///directory, without credentials",
            r"(?:s3|gs|az|https?|file)://[A-Za-z0-9_.:/\[\]~-]+",
        ),
        "The store. Locations are told this URL with each bundle that is in it.",
        required=True,
    )
    least = Field("from", Size(0, 100 * _MB), "How large a bundle must be, packed, to go there too.", "1MB")
    options = Field(
        "options",
        OPTIONS,
        "For writing, instead of what the environment says (AWS_ACCESS_KEY_ID and the like). Locations have their own.",
    )


def _build(values: Values) -> BlobSettings:
    return BlobSettings(values[_Fields.url].rstrip("/"), values[_Fields.least], values.get(_Fields.options) or {})


BLOBS: Final = Section("blobs", _Fields, _build)
