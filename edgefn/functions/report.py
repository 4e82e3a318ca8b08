"""The START, END and REPORT lines of an invocation, in the text form that AWS Lambda writes."""

import math
import re

from edgefn.model.settings import CLOUDFRONT_JS
from edgefn.rules.log_line import one_line
from edgefn.sandbox.base import Code, Failed, Outcome, OverLimit, Returned, TimedOut, Usage
from edgefn.sandbox.js.profiles import compute_utilization

_IMPORT_ERROR = "Runtime.ImportModuleError"
_SDK = re.compile(r"'(aws-sdk|@aws-sdk/|@smithy/|boto3|botocore)")
_NO_SDK = (
    "edgefn: AWS's runtimes bring an SDK, and edgefn does not: install it beside the function's code, or as a layer"
)


def start_line(code: Code, invocation_id: str) -> str:
    """Return the line that opens an invocation."""
    return f"START RequestId: {invocation_id} Version: {code.version}"


def closing_lines(code: Code, invocation_id: str, outcome: Outcome, timestamp: str) -> tuple[str, ...]:
    """Return the lines that close an invocation: what went wrong, END and REPORT. `timestamp` is ISO 8601."""
    match outcome:
        case Returned(usage=usage):
            return (_end(invocation_id), _report(code, invocation_id, usage, ""))
        case Failed(type=kind, message=message, trace=trace, usage=usage, logged=logged):
            status = f"\tStatus: error\tError Type: {one_line(kind)}"
            ending: tuple[str, ...] = (_end(invocation_id), _report(code, invocation_id, usage, status))
            if kind == _IMPORT_ERROR and _SDK.search(message):
                ending = (f"{timestamp}\t{invocation_id}\t{_NO_SDK}", *ending)
            if logged:
                return ending
            told = "\\r".join(one_line(line) for line in (f"[ERROR] {kind}: {message}", *trace))
            return (f"{timestamp}\t{invocation_id}\t{told}", *ending)
        case TimedOut(usage=usage):
            told = f"{timestamp} {invocation_id} {outcome.told(code.timeout)}"
            return (told, _end(invocation_id), _report(code, invocation_id, usage, "\tStatus: timeout"))
        case OverLimit(reason=reason):
            return (f"{timestamp}\t{invocation_id}\t[ERROR] LimitExceeded: {reason}", _end(invocation_id))


def stopped_lines(invocation_id: str, timestamp: str) -> tuple[str, ...]:
    """Return the lines that close an invocation whose viewer has left. `timestamp` is ISO 8601."""
    return (f"{timestamp} {invocation_id} Task stopped: nobody waits for its result", _end(invocation_id))


def _end(invocation_id: str) -> str:
    return f"END RequestId: {invocation_id}"


def _compute(code: Code, usage: Usage) -> str:
    """Return what AWS's console says of a CloudFront Function's use of CPU time, and nothing for other functions."""
    if not code.runtime.startswith(CLOUDFRONT_JS):
        return ""
    return f"\tCompute Utilization: {compute_utilization(usage.cpu)}"


def _report(code: Code, invocation_id: str, usage: Usage, status: str) -> str:
    duration = usage.wall * 1000
    init = "" if usage.init is None else f"\tInit Duration: {usage.init * 1000:.2f} ms"
    return (
        f"REPORT RequestId: {invocation_id}\tDuration: {duration:.2f} ms\tBilled Duration: {math.ceil(duration)} ms"
        f"\tMemory Size: {code.memory} MB\tMax Memory Used: {math.ceil(usage.memory / 1024**2)} MB"
        f"{_compute(code, usage)}{init}{status}"
    )
