"""origin-request: small pictures for small screens."""


def _is(headers, name):
    return headers.get(name, [{"value": "false"}])[0]["value"] == "true"


def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    headers = request["headers"]
    if _is(headers, "cloudfront-is-mobile-viewer"):
        request["uri"] = "/small" + request["uri"]
    elif _is(headers, "cloudfront-is-tablet-viewer"):
        request["uri"] = "/medium" + request["uri"]
    return request
