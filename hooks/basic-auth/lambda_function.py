"""viewer-request: asks for a user name and a password on everything below /private."""

import base64
import hmac

USER, PASSWORD = "ada", "lovelace"


def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    if not request["uri"].startswith("/private"):
        return request
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    given = request["headers"].get("authorization", [{"value": ""}])[0]["value"]
    if hmac.compare_digest(given, expected):
        return request
    return {
        "status": "401",
        "statusDescription": "Unauthorized",
        "headers": {
            "www-authenticate": [{"key": "WWW-Authenticate", "value": 'Basic realm="private"'}],
            "content-type": [{"key": "Content-Type", "value": "text/plain; charset=utf-8"}],
        },
        "body": "A user name and a password, please.\n",
    }
