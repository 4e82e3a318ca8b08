"""The one place where an error becomes a status, an X-Cache value and a sentence for the viewer."""

from dataclasses import dataclass

from edgefn.model.errors import (
    BadRequestError,
    EdgeError,
    FunctionError,
    FunctionFault,
    NotConfiguredError,
    NotStoredError,
    OriginError,
    OriginFailure,
    ViewerGoneError,
)
from edgefn.model.trail import Result

_FUNCTION_FAILURES = {
    FunctionFault.EXECUTION: (503, Result.LAMBDA_EXECUTION_ERROR),
    FunctionFault.VALIDATION: (502, Result.LAMBDA_VALIDATION_ERROR),
    FunctionFault.LIMIT: (503, Result.LAMBDA_LIMIT_EXCEEDED),
    FunctionFault.CLOUDFRONT_EXECUTION: (503, Result.FUNCTION_EXECUTION_ERROR),
    FunctionFault.CLOUDFRONT_VALIDATION: (502, Result.FUNCTION_VALIDATION_ERROR),
    FunctionFault.CLOUDFRONT_THROTTLED: (503, Result.FUNCTION_THROTTLED_ERROR),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What the viewer gets for an error. `detail` goes to the log, `sentence` to the page.

    `page`: whether a custom error page may stand in for it (AWS: not for capacity and limit errors).
    """

    status: int
    result: Result
    detail: str
    sentence: str
    page: bool = True


def failure(error: EdgeError) -> Failure:
    """Return what becomes of `error` (AWS: troubleshooting error responses; RFC 9110 sections 15.6.3 and 15.6.5)."""
    match error:
        case BadRequestError(status=status):
            return Failure(status, Result.ERROR, f"InvalidRequest: {error}", f"Bad request. {error}", page=False)
        case ViewerGoneError():
            return Failure(400, Result.ERROR, "ClientCommError", "The viewer closed the connection.", page=False)
        case NotStoredError():
            return Failure(504, Result.ERROR, "NotStored", "Nothing stored can answer this.", page=False)
        case NotConfiguredError():
            sentence = "This location has no configuration yet."
            return Failure(503, Result.ERROR, f"NotConfigured: {error}", sentence, page=False)
        case OriginError(failure=kind):
            status = 504 if kind.is_timeout else 502
            return Failure(status, Result.ERROR, f"{kind}: {error}", _origin_sentence(kind))
        case FunctionError(kind=fault):
            status, result = _FUNCTION_FAILURES[fault]
            return Failure(status, result, _function_detail(error), str(error), page=not error.is_for_lack_of_room)
        case _:
            return Failure(500, Result.ERROR, f"InternalError: {error!r}", "An error occurred in the edge location.")


def _origin_sentence(kind: OriginFailure) -> str:
    match kind:
        case OriginFailure.DNS:
            return "CloudFront wasn't able to resolve the origin domain name."
        case OriginFailure.CONNECT | OriginFailure.CONNECT_TIMEOUT | OriginFailure.REFUSED | OriginFailure.TLS:
            return "CloudFront wasn't able to connect to the origin."
        case OriginFailure.READ_TIMEOUT:
            return "CloudFront reached the origin, but the origin did not answer in time."
        case OriginFailure.INVALID_RESPONSE | OriginFailure.HEADER_TOO_BIG | OriginFailure.CLOSED | OriginFailure.WRITE:
            return "The origin closed the connection or sent a response that is not valid HTTP."


def _function_detail(error: FunctionError) -> str:
    where = f" in {error.field}" if error.field else ""
    return f"{error.kind}: function {error.function}: {error.rule}{where}"
