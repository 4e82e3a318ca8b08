"""viewer-request: lets through only links that carry a signature and have not run out."""

import hashlib
import hmac
import urllib.parse

SECRET = b"not a secret in a demo"


def signature(uri, expires):
    return hmac.new(SECRET, f"{uri}:{expires}".encode(), hashlib.sha256).hexdigest()


def refuse(why):
    return {
        "status": 403,
        "statusDescription": "Forbidden",
        "headers": {"content-type": [{"value": "text/plain"}]},
        "body": why + "\n",
    }


def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    query = urllib.parse.parse_qs(request["querystring"])
    expires = query.get("expires", [""])[0]
    given = query.get("signature", [""])[0]
    if not expires.isdigit() or not hmac.compare_digest(given, signature(request["uri"], expires)):
        return refuse("This link is not signed.")
    if int(expires) < 1_700_000_000:
        return refuse("This link has run out.")
    request["querystring"] = ""
    return request
