"""One line per request, from its trail: what was asked, what went out, and why."""

import math

from edgefn.model.message import Request, Response
from edgefn.model.trail import HookRun, Trail
from edgefn.rules.log_line import one_line


def access_line(
    when: str, request: Request | None, request_id: str, response: Response, trail: Trail, *, sent: int, seconds: float
) -> str:
    """Return the access log line. `when` is ISO 8601; a malformed `request` is None.

    `sent` counts bytes, the head included (AWS: sc-bytes).
    """
    viewer = "-" if request is None else request.viewer.ip
    asked = '"-"' if request is None else f'"{request.method} {_shown(request.target)} HTTP/{request.version}"'
    fields = [when, viewer, asked, str(response.status), str(sent), f"{seconds * 1000:.1f}ms", trail.result.value]
    fields.append(f"id={request_id}")
    if trail.route:
        fields.append(f"route={trail.route}")
    if trail.cache_reason:
        fields.append(f"cache={trail.cache_reason}")
    fields.extend(_hook(run) for run in trail.hooks)
    fields.extend(
        f"origin={attempt.origin or 'dynamic'}/{attempt.outcome}/{attempt.seconds * 1000:.1f}ms"
        for attempt in trail.attempts
    )
    if trail.custom:
        fields.append(f'custom="{_shown(trail.custom)}"')
    if trail.detail:
        fields.append(f'detail="{_shown(trail.detail)}"')
    return " ".join(fields)


def _hook(run: HookRun) -> str:
    """Return what a hook did, and what its function took where that is known."""
    told = f"{run.event}={run.function}/{run.outcome}/{run.seconds * 1000:.1f}ms"
    if run.cpu or run.memory:
        told += f"/cpu:{run.cpu * 1000:.2f}ms/memory:{math.ceil(run.memory / 1024**2)}MB"
    return f"{told}/cold" if run.cold else told


def _shown(text: str) -> str:
    """Return `text` such that it stays one line and can't close its quotes."""
    return one_line(text).replace('"', "\\x22")
