"""origin-request: an API without a server."""

import json
import urllib.parse

visits = 0


def lambda_handler(event, context):
    global visits
    visits += 1
    request = event["Records"][0]["cf"]["request"]
    name = urllib.parse.parse_qs(request["querystring"]).get("name", ["world"])[0]
    return {
        "status": "200",
        "headers": {
            "content-type": [{"key": "Content-Type", "value": "application/json"}],
            "cache-control": [{"key": "Cache-Control", "value": "no-store"}],
        },
        "body": json.dumps({"greeting": f"Hello, {name}!", "visit": visits, "function": context.function_name}),
    }
