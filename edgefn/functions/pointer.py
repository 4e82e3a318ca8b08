"""What an alias, or a version by its number, points at in one worker: swapped whole, asked for each request."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgefn.functions.runner import Runner
from edgefn.model.message import Request
from edgefn.model.publishing import Alias
from edgefn.rules.automatic_rollback import Counted, RollBack, rollback_verdict
from edgefn.rules.sticky import sticky_key
from edgefn.rules.version_choice import chosen_version


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a pointer points: one version or two (the stable one first), and the one before them, if it is warm."""

    runners: tuple[Runner, ...] = ()
    before: Runner | None = None
    alias: Alias | None = None

    def settled(self) -> "Aim":
        """Return the aim with the stable version alone."""
        return Aim(self.runners[:1], self.before, self.alias)


class Pointer:
    """A `Callee` whose aim may change between two requests. `now` is the monotonic clock, `report` is for operators.

    Of two versions it takes the newer one out by itself when that one fails too often and its alias says so; it stays
    out until the alias itself is changed.
    """

    __slots__ = ("_aim", "_now", "_recent", "_report", "label", "rolled_back")

    def __init__(self, function: str, qualifier: str, now: Callable[[], float], report: Callable[[str], None]) -> None:
        self.label = f"{function}:{qualifier}"
        self.rolled_back: RollBack | None = None
        self._now = now
        self._report = report
        self._aim = Aim()
        self._recent = _Recent()

    @property
    def versions(self) -> tuple[str, ...]:
        """Return the versions that requests may get."""
        return tuple(runner.code.version for runner in self._aim.runners)

    @property
    def runners(self) -> tuple[Runner, ...]:
        """Return all that must stay open for it."""
        aim = self._aim
        return aim.runners if aim.before is None else (*aim.runners, aim.before)

    def aim(self, aim: Aim) -> None:
        """Point elsewhere from the next request on. What was rolled back stays so while the alias is the same."""
        if aim.alias != self._aim.alias:
            self.rolled_back = None
            self._recent = _Recent()
        self._aim = aim.settled() if self.rolled_back else aim

    @property
    def sole(self) -> Runner | None:
        """Return the runner that every request gets, None where that depends on the request."""
        runners = self._aim.runners
        return runners[0] if runners and (len(runners) < 2 or self._aim.alias is None) else None

    def choose(self, request: Request) -> Runner | None:
        """Return the runner for `request`, None when nothing is published under this name."""
        runners, alias = self._aim.runners, self._aim.alias
        if len(runners) < 2 or alias is None:
            return runners[0] if runners else None
        chosen = chosen_version(alias, sticky_key(alias.sticky, request.headers, request.id))
        return runners[chosen != alias.targets[0].version]

    def before(self, runner: Runner) -> Runner | None:
        """Return the last good version besides `runner`: the stable one of two, else the one before the alias moved."""
        candidates = (*self._aim.runners[:1], self._aim.before)
        return next((good for good in candidates if good is not None and good is not runner), None)

    def count(self, runner: Runner, *, failed: bool) -> None:
        """Take note of an invocation of the newer of two versions, and roll back when its alias says so."""
        aim = self._aim
        if aim.alias is None or aim.alias.rollback is None or len(aim.runners) < 2 or runner is not aim.runners[1]:
            return
        counted = self._recent.counted(self._now(), aim.alias.rollback.window, failed=failed)
        verdict = rollback_verdict(aim.alias, counted)
        if isinstance(verdict, RollBack):
            self.rolled_back = verdict
            self._aim = aim.settled()
            self._report(f"{self.label} rolled back to {aim.runners[0].label}: {verdict.reason}")


class _Recent:
    """Invocations of the last seconds, one count for each second."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int, int]] = deque()

    def counted(self, now: float, window: float, *, failed: bool) -> Counted:
        """Add an invocation; return those of the last `window` seconds."""
        second = int(now)
        while self._seconds and self._seconds[0][0] <= now - window:
            self._seconds.popleft()
        _, invocations, errors = self._seconds.pop() if self._seconds and self._seconds[-1][0] == second else (0, 0, 0)
        self._seconds.append((second, invocations + 1, errors + failed))
        return Counted(sum(one[1] for one in self._seconds), sum(one[2] for one in self._seconds))
