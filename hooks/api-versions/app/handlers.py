"""origin-request: the version of an API goes from the Accept header into the path. A package, with a module beside."""

import json
import logging

from .versions import NEWEST, OLDEST, wanted

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)


def main(event, _context):
    request = event["Records"][0]["cf"]["request"]
    version = wanted(request["headers"])
    logger.info("version %s of %s", version, request["uri"])
    if not OLDEST <= version <= NEWEST:
        return {
            "status": "406",
            "statusDescription": "Not Acceptable",
            "headers": {"content-type": [{"key": "Content-Type", "value": "application/json"}]},
            "body": json.dumps({"versions": list(range(OLDEST, NEWEST + 1))}),
        }
    request["uri"] = request["uri"].replace("/api/", f"/api/v{version}/", 1)
    return request
