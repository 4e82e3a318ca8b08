"""What can go wrong with one request: whose fault it is, and whether a retry may help.

They become a status and an X-Cache value in one place, `edgefn.proxy.failures`.
"""

from enum import StrEnum


class Fault(StrEnum):
    """Who is to blame."""

    VIEWER = "viewer"
    FUNCTION = "function"
    ORIGIN = "origin"
    EDGE = "edge"


class EdgeError(Exception):
    """The root of all errors that end a request."""

    fault = Fault.EDGE
    retryable = False


class BadRequestError(EdgeError):
    """The viewer's message can't be served. `status` is what it deserves; the connection closes after it."""

    fault = Fault.VIEWER

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class ViewerGoneError(EdgeError):
    """The viewer hung up before its message, or our answer, was complete."""

    fault = Fault.VIEWER


class NotStoredError(EdgeError):
    """The viewer wants nothing but what is stored, and nothing stored will do."""

    fault = Fault.VIEWER


class NotConfiguredError(EdgeError):
    """Nothing is configured here yet."""


class OriginFailure(StrEnum):
    """How an origin failed, named as in the access log's detailed result types."""

    DNS = "OriginDnsError"
    CONNECT = "OriginConnectError"
    TLS = "OriginTlsError"
    CONNECT_TIMEOUT = "OriginConnectTimeout"
    READ_TIMEOUT = "OriginReadTimeout"
    INVALID_RESPONSE = "OriginInvalidResponseError"
    HEADER_TOO_BIG = "OriginHeaderTooBigError"
    CLOSED = "OriginCommError"
    WRITE = "OriginWriteError"
    REFUSED = "OriginRefused"

    @property
    def is_timeout(self) -> bool:
        """Return whether the origin was too slow, rather than broken or away."""
        return self in {OriginFailure.CONNECT_TIMEOUT, OriginFailure.READ_TIMEOUT}


class OriginError(EdgeError):
    """The origin gave no usable answer."""

    fault = Fault.ORIGIN

    def __init__(self, failure: OriginFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # a fact of the instance here
        """Return whether nothing of the request can have reached the origin."""
        return self.failure in {OriginFailure.CONNECT, OriginFailure.CONNECT_TIMEOUT}


class FunctionFault(StrEnum):
    """The ways in which a function fails a request, as X-Cache names them: Lambda@Edge, then CloudFront Functions."""

    EXECUTION = "LambdaExecutionError"
    VALIDATION = "LambdaValidationError"
    LIMIT = "LambdaLimitExceeded"
    CLOUDFRONT_EXECUTION = "FunctionExecutionError"
    CLOUDFRONT_VALIDATION = "FunctionValidationError"
    CLOUDFRONT_THROTTLED = "FunctionThrottledError"


class FunctionError(EdgeError):
    """A function broke, returned what it may not, or could not be run for lack of room.

    `function` is "name:version"; `field` and `rule` tell for VALIDATION what was wrong where. `prefers_stale`: the
    operator would rather have a stale response served. `origin_status` is what the origin had answered by then, 0 when
    it had not been asked.
    """

    fault = Fault.FUNCTION
    prefers_stale = False
    origin_status = 0

    def __init__(self, kind: FunctionFault, function: str, why: str, *, field: str = "", rule: str = "") -> None:
        super().__init__(why)
        self.kind = kind
        self.function = function
        self.field = field
        self.rule = rule

    @property
    def is_for_lack_of_room(self) -> bool:
        """Return whether the function was not run at all: that says nothing about its code."""
        return self.kind in {FunctionFault.LIMIT, FunctionFault.CLOUDFRONT_THROTTLED}


class SettingsError(Exception):
    """The configuration is wrong. Each problem names file, line, key, what is wrong and what would be right."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
