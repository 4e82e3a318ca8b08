"""The OpenAPI document (3.1) of the control API, made of its endpoints."""

import re
from collections.abc import Iterable

from edgefn.control.endpoints import STRING, Endpoint, Json, Media, json_of, list_of, table

ERROR = table(
    {
        "error": table(
            {"code": STRING, "message": STRING},
            {
                "field": {"type": "string", "description": "What in the request is wrong."},
                "problems": {**list_of(STRING), "description": "All that is wrong, where it is more than one thing."},
            },
        )
    }
)


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, object]:
    """Return the document for these endpoints."""
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgefn control API", "version": version},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _operation(endpoint: Endpoint) -> dict[str, object]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": STRING}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    asked = [
        {"name": known.name, "in": "query", "description": known.summary, "schema": known.schema}
        for known in endpoint.query
    ]
    described: dict[str, object] = {
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "description": f"Needs the scope `{endpoint.scope}`.",
        "parameters": [*inside, *asked],
        "responses": {
            str(endpoint.status): {"description": "Done.", "content": _content(endpoint.gives)},
            "default": {"description": "Refused, or failed: the error says why.", "content": _content(json_of(ERROR))},
        },
    }
    if endpoint.takes is not None:
        described["requestBody"] = {"required": True, "content": _content(endpoint.takes)}
    return described


def _content(media: Media) -> dict[str, Json]:
    return {media.type: {"schema": media.schema}}
