"""AWS's limits for functions at each hook, in the two tables of them that are in use."""

from dataclasses import replace

from edgefn.model.hook import Event, Quotas
from edgefn.model.settings import QuotaProfile

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE


def base64_length(size: int) -> int:
    """Return how many characters `size` bytes take in base64, padding included."""
    return (size + 2) // 3 * 4


# AWS rounds the base64 limits ("53.2 KB", "1.33 MB"). Taken by the letter they would cut off the last bytes of a
# body that the raw limit still allows, so ours is what a body of the raw limit takes.
_VIEWER = Quotas(
    timeout=30.0,
    memory=10_240 * MEGABYTE,
    zip_size=50 * MEGABYTE,
    generated=40 * KILOBYTE,
    body_exposed=40 * KILOBYTE,
    body_text=40 * KILOBYTE,
    body_base64=base64_length(40 * KILOBYTE),
)
_ORIGIN = Quotas(
    timeout=30.0,
    memory=10_240 * MEGABYTE,
    zip_size=50 * MEGABYTE,
    generated=MEGABYTE,
    body_exposed=MEGABYTE,
    body_text=MEGABYTE,
    body_base64=base64_length(MEGABYTE),
)
_VIEWER_LEGACY = replace(_VIEWER, timeout=5.0, memory=128 * MEGABYTE, zip_size=MEGABYTE)


def quotas(profile: QuotaProfile, event: Event) -> Quotas:
    """Return the limits of a function at `event` (AWS: quotas on Lambda@Edge)."""
    if not event.is_viewer:
        return _ORIGIN
    match profile:
        case QuotaProfile.AWS_2025:
            return _VIEWER
        case QuotaProfile.AWS_LEGACY:
            return _VIEWER_LEGACY
