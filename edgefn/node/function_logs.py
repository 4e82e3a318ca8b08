"""Where the lines of functions go: to standard error, and to the log book of the location."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from edgefn.functions.function_log import LogLine
from edgefn.functions.logbook import LogEntry, LogFile, log_directory
from edgefn.functions.logs import LineWriter
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionLogging
from edgefn.node import world


@contextmanager
def function_log(
    location: str, data_dir: str, logging: FunctionLogging = FunctionLogging.ALL
) -> Iterator[Callable[[LogLine], None]]:
    """Give what takes lines until the block ends, and never waits. Raises `SettingsError`."""
    if logging is FunctionLogging.OFF:
        yield _let_go
        return
    directory = log_directory(data_dir)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(closing(LogFile(directory)))
        except OSError as error:
            raise SettingsError((f"data_dir: {directory} can't be written: {error.strerror}",)) from error
        book, shown = stack.enter_context(LineWriter(file)), stack.enter_context(LineWriter(sys.stderr))

        def write(line: LogLine) -> None:
            shown.write(f"{line.function}: {line.text}")
            at, ids = world.timestamp(), (line.invocation, line.request)
            book.write(LogEntry(at, location, line.function, line.version, *ids, line.text).line())

        yield write


def _let_go(line: LogLine) -> None:
    """Keep nothing."""
