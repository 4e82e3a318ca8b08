"""Whether the disk does what it should: one log line when it stops, and one when it works again."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from edgefn.stores.base import StoreError
from edgefn.stores.disk.schema import condemn

_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF
_CURED = 100  # successes in a row: a disk that is all but full fails now and then
_log = logging.getLogger(__name__)


class Doing(StrEnum):
    """What may fail while the rest goes on."""

    READING = "reading"
    WRITING_INDEX = "writing to the index of"
    WRITING_BODIES = "writing to"


class Health:
    """Makes `StoreError`s of what the disk and the index raise. Used by several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._ill: dict[Doing, int] = {}

    @contextmanager
    def watching(self, doing: Doing) -> Iterator[None]:
        """Raise what goes wrong within as a `StoreError`."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:  # the latter two: not what was written
            self._failed(doing, error)
            raise StoreError(str(error)) from error
        else:
            if self._ill:
                self._succeeded(doing)

    def note(self, error: StoreError) -> None:
        """Tell of an entry that could not be read."""
        _log.warning("disk cache %s: %s; it is fetched again", self._directory, error)

    def _failed(self, doing: Doing, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _BROKEN:
            condemn(self._directory)
        with self._lock:
            is_news = doing not in self._ill
            self._ill[doing] = _CURED
        if is_news:
            _log.error("%s the disk cache %s fails: %s; going on without", doing, self._directory, error)

    def _succeeded(self, doing: Doing) -> None:
        with self._lock:
            if doing not in self._ill:
                return
            self._ill[doing] -= 1
            if self._ill[doing] > 0:
                return
            del self._ill[doing]
        _log.warning("%s the disk cache %s works again", doing, self._directory)
