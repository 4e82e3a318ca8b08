"""Idle workers, when the machine does not do as it is told."""

import asyncio
import errno

from edgefn.sandbox.process.idle import IdleWorkers


class FakeWorker:
    """A worker whose freezing or thawing fails while the machine is out of descriptors."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.is_alive = True
        self.frozen = False
        self.failures = 2
        self.settled = asyncio.Event()

    def freeze(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        self.frozen = True
        self.settled.set()

    def thaw(self) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def kill(self) -> None:
        self.is_alive = False


def idle(worker: FakeWorker) -> IdleWorkers:
    workers = IdleWorkers(asyncio.get_running_loop(), 60.0, kept=1)
    workers.put(worker)  # type: ignore[arg-type]  # all of a worker that idling needs
    return workers


async def test_one_that_could_not_be_frozen_is_frozen_later() -> None:
    worker = FakeWorker()
    workers = idle(worker)
    async with asyncio.timeout(5):
        await worker.settled.wait()
    workers.close()
    assert workers.frozen == 1


async def test_one_that_can_not_be_thawed_is_not_given_out() -> None:
    worker = FakeWorker()
    workers = idle(worker)
    assert workers.take() is None
    assert not worker.is_alive
    workers.close()
