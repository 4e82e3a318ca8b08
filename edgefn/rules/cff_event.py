"""The documents that CloudFront Functions get (AWS: CloudFront Functions event structure).

Beside the documented fields there is `edge`: what the function reaches through methods only. The sandbox takes it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from edgefn.model.hook import Event
from edgefn.model.message import Request, Response
from edgefn.rules.cff_headers import shown_cookies, shown_headers, shown_set_cookies
from edgefn.rules.cff_query import shown_query
from edgefn.rules.event import EventConfig, ExposedBody, as_text


@dataclass(frozen=True, slots=True)
class EdgeLocation:
    """Where the function runs: an airport's code, the address that the viewer reached, the region."""

    name: str
    server_ip: str = ""
    region: str = ""


def request_event(
    event: Event, config: EventConfig, request: Request, body: ExposedBody | None, location: EdgeLocation | None = None
) -> bytes:
    """Return the JSON for viewer-request. These functions never see a body, so `body` counts for nothing."""
    del body
    edge: dict[str, object] = {"rawQuery": None if request.query is None else as_text(request.query)}
    if location is not None:
        edge["location"] = {"name": location.name, "serverIp": location.server_ip, "region": location.region}
    return orjson.dumps({**_shared(event, config, request), "edge": edge})


def response_event(event: Event, config: EventConfig, request: Request, response: Response) -> bytes:
    """Return the JSON for viewer-response."""
    shown: Mapping[str, object] = {
        "statusCode": response.status,
        "statusDescription": as_text(response.reason),
        "headers": shown_headers(response.headers),
        "cookies": shown_set_cookies(response.headers),
    }
    return orjson.dumps({**_shared(event, config, request), "response": shown})


def _shared(event: Event, config: EventConfig, request: Request) -> dict[str, object]:
    return {
        "version": "1.0",
        "context": {
            "distributionDomainName": config.distribution_domain,
            "distributionId": config.distribution_id,
            "eventType": event.value,
            "requestId": request.id,
        },
        "viewer": {"ip": request.viewer.ip},
        "request": {
            "method": request.method,
            "uri": as_text(request.path),
            "querystring": shown_query(request.query),
            "headers": shown_headers(request.headers),
            "cookies": shown_cookies(request.headers),
        },
    }
