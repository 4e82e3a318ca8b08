"""viewer-response: tells the page where its visitor seems to be, and how long the function had left."""


def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    response = cf["response"]
    client = cf["request"]["clientIp"]
    response["headers"]["x-client"] = [{"key": "X-Client", "value": client}]
    assert context.get_remaining_time_in_millis() > 0
    print("answered", client)
    return response
