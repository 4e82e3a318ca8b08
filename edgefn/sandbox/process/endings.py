"""How a function ended, in AWS's words (AWS: Lambda runtime API, invocation error). Pure."""

import re
import signal

from edgefn.rules.log_line import one_line
from edgefn.sandbox.base import Failed, Usage

EXIT = "Runtime.ExitError"
TIMED_OUT = "Sandbox.Timedout"
TOO_LARGE = "Function.ResponseSizeTooLarge"
NOT_STARTED = "Sandbox.LaunchError"

_SIGNAL_WORDS: dict[int, str] = {
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGHUP: "hangup",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGSYS: "bad system call",
    signal.SIGTERM: "terminated",
    signal.SIGTRAP: "trace/breakpoint trap",
}


def exit_words(status: int) -> str:
    """Return how a process ended; a negative status is a signal."""
    if status < 0:
        return f"Runtime exited with error: signal: {_SIGNAL_WORDS.get(-status, -status)}"
    return (
        "Runtime exited without providing a reason"
        if status == 0
        else f"Runtime exited with error: exit status {status}"
    )


def exited(request_id: str, status: int, usage: Usage) -> Failed:
    """Return the outcome of a call, or of an init (then `request_id` is ""), during which the process ended."""
    prefix = f"RequestId: {request_id} Error: " if request_id else ""
    return Failed(EXIT, prefix + exit_words(status), (), usage)


def too_large(limit: int, usage: Usage) -> Failed:
    """Return the outcome of a call whose result is beyond the limit."""
    return Failed(TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({limit} bytes).", (), usage)


def init_timed_out(seconds: float, usage: Usage) -> Failed:
    """Return the outcome of an init that took too long."""
    return Failed(TIMED_OUT, f"Init timed out after {seconds:.2f} seconds", (), usage)


def init_start(runtime: str) -> str:
    """Return the line with which AWS's log begins an init: "nodejs:22" for nodejs22.x, "python:3.12"."""
    return "INIT_START Runtime Version: " + re.sub(r"^([a-z]+)([0-9.]+?)(?:\.x)?$", r"\1:\2", runtime)


def init_report(seconds: float, failed: Failed) -> str:
    """Return the line with which it ends an init that failed."""
    line = f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\tStatus: "
    return f"{line}timeout" if failed.type == TIMED_OUT else f"{line}error\tError Type: {one_line(failed.type)}"
