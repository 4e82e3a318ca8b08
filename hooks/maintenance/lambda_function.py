"""viewer-request: a friendly page while the site is being worked on. The team gets through by a header."""

PAGE = """<!doctype html>
<title>Back soon</title>
<h1>We are working on it</h1>
<p>Request {request_id} came in at a bad moment.</p>
"""


def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    if "x-team" in cf["request"]["headers"]:
        return cf["request"]
    return {
        "status": "503",
        "statusDescription": "Service Unavailable",
        "headers": {
            "retry-after": [{"key": "Retry-After", "value": "120"}],
            "content-type": [{"key": "Content-Type", "value": "text/html; charset=utf-8"}],
        },
        "body": PAGE.format(request_id=cf["config"]["requestId"]),
    }
