"""How a version gets a worker: a parked one if there is one, its files moved into the slot, its code loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from edgefn.sandbox.base import Code, Failed, Log, Usage
from edgefn.sandbox.process import endings
from edgefn.sandbox.process.bundles import Bundle
from edgefn.sandbox.process.environment import function_environment, log_place
from edgefn.sandbox.process.launch import LaunchError
from edgefn.sandbox.process.parking import Parking, Profile
from edgefn.sandbox.process.worker import Birth, Worker


@dataclass(frozen=True, slots=True)
class Senses:
    """What only the top of the program knows: a clock for durations, the date as YYYY/MM/DD, 32 random hex digits."""

    monotonic: Callable[[], float]
    today: Callable[[], str]
    token: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Hired:
    """A worker with its function loaded, and the seconds that took; None when it was there already."""

    worker: Worker
    init: float | None


@dataclass(frozen=True, slots=True)
class Hiring:
    """Everything that is needed to make a worker of one version."""

    code: Code
    profile: Profile
    parking: Parking
    bundle: Bundle
    log: Log
    senses: Senses

    async def hire(self, on_taken: Callable[[Worker], None], *, provisioned: bool) -> Hired | Failed:
        """Return a worker ready for events, or why there is none. `on_taken` hears of it before its code runs."""
        started = self.senses.monotonic()
        try:
            worker = await self.parking.take(self.profile)
        except LaunchError as error:
            return Failed(endings.NOT_STARTED, str(error), (), Usage(0.0, init=self.senses.monotonic() - started))
        on_taken(worker)
        try:
            failure = await self._settle(worker, provisioned=provisioned)
        except BaseException:
            worker.kill()
            raise
        return failure or Hired(worker, self.senses.monotonic() - started)

    async def _settle(self, worker: Worker, *, provisioned: bool) -> Failed | None:
        try:
            await self.bundle.move_into(worker.slot)
        except OSError as error:
            worker.kill()
            return Failed(endings.NOT_STARTED, f"the bundle could not be put in place: {error}", (), Usage(0.0))
        place = log_place(self.code, self.senses.today(), self.senses.token())
        environment = function_environment(self.code, place, provisioned=provisioned)
        self.log("", endings.init_start(self.code.runtime))
        started = self.senses.monotonic()
        failure = await worker.initialise(Birth(self.code, environment, self.senses.token()), self.log)
        if failure is not None:
            self.log("", endings.init_report(self.senses.monotonic() - started, failure))
        return failure
