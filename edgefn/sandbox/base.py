"""The promise of every sandbox: run one event, under limits, and say what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgefn.model.hot import hot_dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """What to run: one immutable version of a function. Its files are in the directory `root` while it is opened.

    `memory` in MB; `init_timeout` and `timeout` in seconds; `network` lists allowed "host:port".
    `function` is the name that the function itself sees, `arn` its invoked ARN.
    `kvs` is the path of its key-value store, "" for none.
    """

    function: str
    version: str
    arn: str
    root: str
    runtime: str
    handler: str
    timeout: float
    memory: int
    environment: Mapping[str, str]
    network: tuple[str, ...] = ()
    init_timeout: float = 10.0
    kvs: str = ""


def _nobody_listens() -> None:
    """Do nothing."""


@hot_dataclass(frozen=True, slots=True)
class Invocation:
    """One event for a function. `event` is JSON; `id` a UUID.

    `body`, when not None, is put base64-encoded into `Records[0].cf.request.body.data` inside the sandbox.
    `started` is called when the function, itself started if need be, is about to be given the event; perhaps never.
    """

    id: str
    event: bytes
    body: bytes | None = None
    started: Callable[[], None] = _nobody_listens


@hot_dataclass(frozen=True, slots=True)
class Usage:
    """What one invocation took. Times in seconds, memory in bytes; `init` is None on a warm start.

    `waited`: it may have waited for something, instead of only computing.
    """

    wall: float
    cpu: float = 0.0
    memory: int = 0
    init: float | None = None
    waited: bool = True


@hot_dataclass(frozen=True, slots=True)
class Returned:
    """The function came to an end; `result` is what it returned, as JSON."""

    result: bytes
    usage: Usage


@hot_dataclass(frozen=True, slots=True)
class AtOnce:
    """What a function came to while its caller waited, and the lines that it logged."""

    outcome: Returned
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Failed:
    """The function threw, crashed, or could not be started. `type` and `message` as in AWS's error document.

    `logged` says that its runtime has written it into the log already.
    """

    type: str
    message: str
    trace: tuple[str, ...]
    usage: Usage
    logged: bool = False


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The function was stopped at its time limit; `cpu_limit` is the one on CPU time, in seconds, where it was that."""

    usage: Usage
    cpu_limit: float | None = None

    def told(self, timeout: float) -> str:
        """Return the sentence that AWS Lambda has for it; `timeout` is the limit on wall time, in seconds."""
        if self.cpu_limit is not None:
            return f"Task stopped after {self.cpu_limit:.2f} seconds of CPU time"
        return f"Task timed out after {timeout:.2f} seconds"


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The function was not run: no room, or it is backing off after crashes. `reason` is for the log."""

    reason: str


Outcome = Returned | Failed | TimedOut | OverLimit


class OpenError(Exception):
    """A version can't be opened. `failure` is what its init came to, where it came so far."""

    def __init__(self, why: str, failure: Failed | None = None) -> None:
        super().__init__(why)
        self.failure = failure


Log = Callable[[str, str], None]
"""Takes (request id or "", text): output of a function, without its final newline."""


class Sandbox(Protocol):
    """The sandboxes of one version. `run` never raises for what the function does."""

    @property
    def stopping_is_cheap(self) -> bool:
        """Return whether a function that nobody waits for is best stopped: it costs nothing that was warm."""

    @property
    def may_answer_at_once(self) -> bool:
        """Return whether `run_now` may be worth the try just now."""

    def run_now(self, invocation: Invocation) -> AtOnce | None:
        """Run one event if that takes no waiting, and ends well; otherwise nothing has been done, and `run` is to.

        What the function logs is told, not logged: whoever has no use for the result forgets it, and calls `run`.
        """

    async def run(self, invocation: Invocation) -> Outcome:
        """Run one event to its end or its limit. Cancelling stops the function."""

    async def close(self) -> None:
        """Stop everything that runs, and wait until it is gone."""
