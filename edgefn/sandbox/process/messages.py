"""What the frames of the control socket say: the proxy's requests as bytes, the worker's replies as values.

A worker shares its process with the function, so every reply is judged as if the function had written it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from edgefn.sandbox.base import Code
from edgefn.sandbox.process.frames import Frame, FrameError

_TRACE_LINES = 200
_CEILING = 1 << 44


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker took in its life so far: seconds of CPU, at most so many bytes.

    `waited`: it may have waited for something since the call began, instead of only computing.
    """

    cpu: float = 0.0
    memory: int = 0
    waited: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """The function ended: its result as JSON text, and what the worker says it took."""

    body: bytes
    taken: Taken


@dataclass(frozen=True, slots=True)
class Fault:
    """The function threw, or could not be loaded. `fatal`: the worker ends itself after this reply."""

    type: str
    message: str
    trace: tuple[str, ...]
    fatal: bool
    taken: Taken


Reply = Result | Fault


def init_header(code: Code, environment: Mapping[str, str], token: str) -> bytes:
    """Return the header that makes a functionless worker the home of `code`; its reply echoes `token`."""
    init = {
        "id": token,
        "function": code.function,
        "version": code.version,
        "arn": code.arn,
        "handler": code.handler,
        "runtime": code.runtime,
        "memory": code.memory,
        "environment": dict(environment),
    }
    return orjson.dumps({"init": init})


def invoke_header(request_id: str, remaining: float, event: bytes) -> bytes:
    """Return the header for one event, which is embedded as the text that it is; `remaining` in seconds."""
    head = b'{"invoke":{"id":%b,"remaining":%d},"event":' % (orjson.dumps(request_id), int(remaining * 1000))
    return b"".join((head, event, b"}"))


def is_ready(frame: Frame) -> bool:
    """Return whether this is the one thing that a worker says unasked: that its interpreter is up."""
    return frame == Frame(b'{"ready":true}')


def read_reply(frame: Frame, request_id: str) -> Reply:
    """Return what the worker answered to the request `request_id`.

    Raises `FrameError` for another id and for anything that is not a reply.
    """
    try:
        document: object = orjson.loads(frame.header)
    except orjson.JSONDecodeError:
        raise FrameError("a header that is not JSON") from None
    if not isinstance(document, dict):
        raise FrameError("a header that is not an object")
    if document.get("id") != request_id:
        raise FrameError("a reply to another request")
    memory, waited = int(_number(document.get("memory"))), document.get("waited") is not False
    taken = Taken(_number(document.get("cpu")), memory, waited)
    if document.get("ok") is True:
        return Result(frame.body, taken)
    match document.get("error"):
        case {"type": str(kind), "message": str(message), "trace": [*lines]}:
            trace = tuple(line for line in lines[:_TRACE_LINES] if isinstance(line, str))
            return Fault(kind, message, trace, document.get("fatal") is True, taken)
        case _:
            raise FrameError("a header that is no reply")


def _number(value: object) -> float:
    """Return a worker's claim about itself, within what a log can bear."""
    return value if isinstance(value, int | float) and 0 <= value <= _CEILING else 0
