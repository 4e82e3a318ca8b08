"""viewer-response: every cookie that the origin sets gets the attributes it forgot."""

REQUIRED = ("Secure", "HttpOnly", "SameSite=Lax")


def hardened(cookie):
    present = {part.strip().split("=")[0].lower() for part in cookie.split(";")[1:]}
    missing = [attribute for attribute in REQUIRED if attribute.split("=")[0].lower() not in present]
    return "; ".join([cookie, *missing])


def lambda_handler(event, context):
    response = event["Records"][0]["cf"]["response"]
    cookies = response["headers"].get("set-cookie", [])
    response["headers"]["set-cookie"] = [{"key": "Set-Cookie", "value": hardened(each["value"])} for each in cookies]
    return response
