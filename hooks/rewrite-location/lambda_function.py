"""origin-response: the origin redirects to itself by its own name; viewers are to stay on ours."""

from urllib.parse import urlsplit


def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    response = cf["response"]
    own = cf["request"]["origin"]["custom"]["domainName"]
    for line in response["headers"].get("location", []):
        target = urlsplit(line["value"])
        if target.hostname == own:
            line["value"] = target._replace(scheme="", netloc="").geturl() or "/"
    return response
