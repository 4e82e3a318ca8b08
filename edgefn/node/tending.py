"""Work that goes on beside everything else, until whoever began it closes."""

from collections.abc import Coroutine
from contextlib import AsyncExitStack

from edgefn.sandbox.process.tasks import Tasks


def tend(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run `work` as a task, which `stack` cancels and awaits. What can go wrong in it is its own to handle."""
    tasks = Tasks()
    stack.push_async_callback(tasks.close)
    tasks.start(work)
