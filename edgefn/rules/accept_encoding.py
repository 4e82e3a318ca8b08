"""Accept-Encoding reduced to what a route's cache tells apart (AWS: EnableAcceptEncodingGzip and -Brotli)."""

import re
from functools import lru_cache

_MEMBER = re.compile(r"[ \t]*([^;, \t]+)[ \t]*(?:;[ \t]*q=([01](?:\.\d{0,3})?)[ \t]*)?", re.ASCII | re.IGNORECASE)
_IDENTITY = "identity"


@lru_cache(256)
def normalised(offered: str | None, enabled: tuple[str, ...]) -> str:
    """Return the codings that are both offered and enabled, as `br,gzip`; `identity` when there are none.

    A coding of weight 0 is not offered (RFC 9110 section 12.5.3). Members outside the grammar are passed over.
    """
    members = (_MEMBER.fullmatch(member) for member in (offered or "").split(","))
    wanted = {match[1].lower() for match in members if match is not None and float(match[2] or 1) > 0}
    return ",".join(sorted(wanted.intersection(enabled))) or _IDENTITY
