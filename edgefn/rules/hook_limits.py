"""Whether a function may stand at a hook (AWS: quotas on Lambda@Edge, restrictions on edge functions)."""

from collections.abc import Iterable

from edgefn.model.hook import Event
from edgefn.model.settings import CLOUDFRONT_JS, FunctionSettings, QuotaProfile
from edgefn.rules.quotas import MEGABYTE, quotas


def hook_flaws(function: FunctionSettings, event: Event, profile: QuotaProfile) -> list[str]:
    """Return where `function` is beyond what holds at `event`, and what would be right."""
    allowed = quotas(profile, event)
    name, where = f'the function "{function.name}"', f"at {event} the most is"
    flaws: list[str] = []
    if function.runtime.startswith(CLOUDFRONT_JS) and not event.is_viewer:
        flaws.append(f"{name} is a CloudFront Function; write it at viewer-request or viewer-response")
    if function.timeout > allowed.timeout:
        flaws.append(f"{name} has a timeout of {function.timeout:g}s; {where} {allowed.timeout:g}s")
    if function.memory * MEGABYTE > allowed.memory:
        flaws.append(f"{name} has {function.memory}MB of memory; {where} {allowed.memory // MEGABYTE}MB")
    return flaws


def flaws_at(function: FunctionSettings, events: Iterable[Event], profile: QuotaProfile) -> list[str]:
    """Return the flaws at all of `events`."""
    return [flaw for event in events for flaw in hook_flaws(function, event, profile)]
