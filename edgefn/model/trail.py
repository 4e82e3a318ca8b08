"""What happened to one request: the one source of the access log, X-Cache, Cache-Status and metrics."""

from dataclasses import dataclass, field
from enum import StrEnum

from edgefn.model.hot import hot_dataclass


class Result(StrEnum):
    """X-Cache's first word; AWS: x-edge-result-type."""

    HIT = "Hit"
    REFRESH_HIT = "RefreshHit"
    MISS = "Miss"
    ERROR = "Error"
    REDIRECT = "Redirect"
    LAMBDA_GENERATED_RESPONSE = "LambdaGeneratedResponse"
    LAMBDA_EXECUTION_ERROR = "LambdaExecutionError"
    LAMBDA_VALIDATION_ERROR = "LambdaValidationError"
    LAMBDA_LIMIT_EXCEEDED = "LambdaLimitExceeded"
    FUNCTION_GENERATED_RESPONSE = "FunctionGeneratedResponse"
    FUNCTION_EXECUTION_ERROR = "FunctionExecutionError"
    FUNCTION_VALIDATION_ERROR = "FunctionValidationError"
    FUNCTION_THROTTLED_ERROR = "FunctionThrottledError"


@hot_dataclass(frozen=True, slots=True)
class HookRun:
    """One invocation of a hook's function. `seconds` is wall time as the request felt it.

    `cpu` in seconds and `memory` in bytes are what the function took, 0 where nobody counts them; `cold`: it had to be
    started first.
    """

    event: str
    function: str
    outcome: str
    seconds: float
    cpu: float = 0.0
    memory: int = 0
    cold: bool = False


@hot_dataclass(frozen=True, slots=True)
class OriginAttempt:
    """One try at one origin. `outcome` is the status, or the `OriginFailure`.

    `reused`: on a connection that had served others.
    """

    origin: str
    outcome: str
    seconds: float
    reused: bool


@dataclass(slots=True)
class Trail:
    """Filled in along the walk; read when the response has gone out. `started` is on the monotonic clock.

    `custom` is what a CloudFront Function wants in the access log.
    """

    started: float = 0.0
    route: str = ""
    result: Result = Result.MISS
    detail: str = ""
    cache: str = ""
    cache_reason: str = ""
    hooks: list[HookRun] = field(default_factory=list)
    attempts: list[OriginAttempt] = field(default_factory=list)
    custom: str = ""
