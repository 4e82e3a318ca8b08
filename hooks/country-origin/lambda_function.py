"""origin-request: sends viewers of some countries to an origin near them."""

ORIGINS = {
    "DE": "de.origin.test",
    "AT": "de.origin.test",
    "JP": "jp.origin.test",
}


def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    country = request["headers"].get("cloudfront-viewer-country", [{"value": ""}])[0]["value"]
    domain = ORIGINS.get(country)
    if domain:
        request["origin"]["custom"]["domainName"] = domain
        request["headers"]["host"] = [{"key": "Host", "value": domain}]
    return request
