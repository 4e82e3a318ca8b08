"""The clock, the dice and the ids: what everything below is told instead of asking."""

import base64
import os
import time
import uuid
from datetime import UTC, datetime

monotonic = time.monotonic
wall = time.time


def request_id() -> str:
    """Return a fresh X-Amz-Cf-Id: 56 characters of URL-safe base64 that end in ==."""
    return base64.urlsafe_b64encode(os.urandom(40)).decode("ascii")


def invocation_id() -> str:
    """Return a fresh UUID, as AWS names an invocation."""
    return str(uuid.uuid4())


def token() -> str:
    """Return a fresh secret of 256 bits, in hex."""
    return os.urandom(32).hex()


def pseudonym() -> str:
    """Return what Via calls this process: 32 hex digits."""
    return os.urandom(16).hex()


def timestamp() -> str:
    """Return the time in UTC as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
