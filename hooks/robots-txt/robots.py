"""viewer-request: /robots.txt by the name that was asked for: search engines stay out of all but the real site."""

import textwrap


class Robots:
    """A handler that is an object: made once, called for each event."""

    def __init__(self, public):
        self._public = public

    def __call__(self, event, context):
        request = event["Records"][0]["cf"]["request"]
        if request["uri"] != "/robots.txt":
            return request
        host = request["headers"]["host"][0]["value"]
        rule = "Allow: /" if host in self._public else "Disallow: /"
        return {
            "status": "200",
            "statusDescription": "OK",
            "headers": {
                "content-type": [{"key": "Content-Type", "value": "text/plain; charset=utf-8"}],
                "cache-control": [{"key": "Cache-Control", "value": "max-age=86400"}],
            },
            "body": textwrap.dedent(
                f"""\
                User-agent: *
                {rule}
                """
            ),
        }


handler = Robots({"www.example.com"})
