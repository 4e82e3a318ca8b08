"""The four moments at which a function may run, and the facts about them that AWS fixes."""

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """The four hooks, by the name that AWS gives their event (`config.eventType`)."""

    VIEWER_REQUEST = "viewer-request"
    ORIGIN_REQUEST = "origin-request"
    ORIGIN_RESPONSE = "origin-response"
    VIEWER_RESPONSE = "viewer-response"

    @property
    def is_viewer(self) -> bool:
        """Return whether it runs on the viewer's side of the cache."""
        return self in {Event.VIEWER_REQUEST, Event.VIEWER_RESPONSE}

    @property
    def is_request(self) -> bool:
        """Return whether it carries a request on its way to the origin."""
        return self in {Event.VIEWER_REQUEST, Event.ORIGIN_REQUEST}


@dataclass(frozen=True, slots=True)
class Quotas:
    """AWS's limits for one kind of event, in bytes and seconds (AWS: quotas on Lambda@Edge)."""

    timeout: float
    memory: int
    zip_size: int
    generated: int
    body_exposed: int
    body_text: int
    body_base64: int
