"""origin-response: a page of our own for what the origin does not have."""


def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    response = cf["response"]
    if response["status"] == "404":
        response["status"] = "200"
        response["statusDescription"] = "OK"
        response["headers"]["content-type"] = [{"key": "Content-Type", "value": "text/html; charset=utf-8"}]
        response["headers"]["cache-control"] = [{"key": "Cache-Control", "value": "max-age=10"}]
        response["body"] = f"<h1>Nothing at {cf['request']['uri']}</h1>\n"
        response["bodyEncoding"] = "text"
    return response
