"""Accept-Encoding reduced to what a route's cache tells apart (AWS: EnableAcceptEncodingGzip and -Brotli)."""

from functools import lru_cache

from edgefn.rules.preferences import weighed

_IDENTITY = "identity"


@lru_cache(256)
def normalised(offered: str | None, enabled: tuple[str, ...]) -> str:
    """Return the codings that are both offered and enabled, as `br,gzip`; `identity` when there are none.

    A coding of weight 0 is not offered (RFC 9110 section 12.5.3). Members outside the grammar are passed over.
    """
    members = (weighed(member.strip(" \t")) for member in (offered or "").split(","))
    wanted = {member[0] for member in members if member is not None and member[1] > 0}
    return ",".join(sorted(wanted.intersection(enabled))) or _IDENTITY
