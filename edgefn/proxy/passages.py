"""What a viewer-request function makes of a request that comes again to the letter: it runs each time anew.

Its event differs in the request's id and the viewer's address only, and where its result is the same as before, so is
all that follows from it.
"""

from dataclasses import dataclass, field
from typing import Protocol

from edgefn.functions.runner import Ran, Runner
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Request, Response, Viewer
from edgefn.model.trail import Trail

_MOST_DOUBT = 10  # the longest pause is 2 to the power of that many requests


@dataclass(slots=True)
class Steadiness:
    """Whether a function is worth remembering: one whose results differ from time to time runs twice for nothing."""

    _doubt: int = 0
    _left: int = 0

    def may_learn(self) -> bool:
        """Return whether to remember what it has come to now."""
        if self._left:
            self._left -= 1
            return False
        return True

    def same(self) -> None:
        """Take note that it came to the same."""
        self._doubt = 0

    def differed(self) -> None:
        """Take note that it did not."""
        self._doubt = min(self._doubt + 1, _MOST_DOUBT)
        self._left = 2**self._doubt


class Hook(Protocol):
    """The hook at viewer-request."""

    @property
    def steadiness(self) -> Steadiness:
        """Return what is known of its function's results."""

    def sole_runner(self) -> Runner | None:
        """Return the runner that every request gets, None where that depends on the request."""

    def took(self, runner: Runner, ran: Ran, request: str, trail: Trail | None) -> None:
        """Take note of an event that was run at once."""


@hot_dataclass(frozen=True, slots=True)
class Passed:
    """What came of a request at viewer-request. `hook` is None where nothing stands there."""

    asked: Request | Response
    hook: Hook | None = None
    runner: Runner | None = None
    event: bytes = b""
    result: bytes = b""


@dataclass(slots=True)
class Passage:
    """One request's way past a function."""

    hook: Hook
    runner: Runner
    before: bytes
    between: bytes
    behind: bytes
    result: bytes
    is_over: bool = field(default=False)

    @property
    def size(self) -> int:
        """Return its bytes."""
        return len(self.before) + len(self.between) + len(self.behind) + len(self.result)

    def again(self, request_id: str, viewer: Viewer, trail: Trail | None) -> bool:
        """Run the function; return whether it came at once to the same as before. If not, nothing has happened."""
        hook, runner = self.hook, self.runner
        if hook.sole_runner() is not runner:
            self.is_over = True
            return False
        if not runner.may_answer_at_once:
            return False
        parts = (self.before, request_id.encode(), self.between, viewer.ip.encode(), self.behind)
        ran = runner.run_now(b"".join(parts))
        if ran is None:
            return False
        if ran.done.outcome.result != self.result:
            hook.steadiness.differed()
            self.is_over = True
            return False
        hook.steadiness.same()
        hook.took(runner, ran, request_id, trail)
        return True


def passage_of(passed: Passed, request: Request) -> Passage | None:
    """Return the way that `request` has passed, None where it can't be known for the next time."""
    hook, runner = passed.hook, passed.runner
    if hook is None or runner is None or hook.sole_runner() is not runner or not hook.steadiness.may_learn():
        return None
    before, found, rest = passed.event.partition(b'"%b"' % request.id.encode())
    for name in (b'"clientIp":"', b'"ip":"'):
        between, named, behind = rest.partition(b'%b%b"' % (name, request.viewer.ip.encode()))
        if found and named and name not in behind and name not in between:
            return Passage(hook, runner, before + b'"', b'"' + between + name, b'"' + behind, passed.result)
    return None
