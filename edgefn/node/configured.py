"""The published configuration of a location: taken into use when it comes, and kept for a start without a network."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import orjson

from edgefn.control.credentials import write_secret
from edgefn.functions.configurations import revision_from_document, revision_to_document
from edgefn.functions.documents import DocumentError
from edgefn.functions.published import FIRST_RETRY, LAST_RETRY
from edgefn.functions.signing import Keys
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Catalog, LocationStatus, RefusedConfiguration, Revision
from edgefn.model.settings import Settings

FILE = "configuration.json"
_DELETED = "deleted"
_log = logging.getLogger("edgefn")

Read: TypeAlias = Callable[[Revision | None], Settings]
"""Reads the location's file; a published configuration takes the place of what it says of the same.

Raises `SettingsError`.
"""


@dataclass(frozen=True, slots=True)
class LastGood:
    """The configuration of `site` that this location used last, in its data directory. Sealed where there is a key.

    A worker reads it as its supervisor did; only who starts the location takes away what counts no more.
    """

    data_dir: str
    site: str
    keys: Keys
    is_worker: bool = False

    def read(self) -> Revision | None:
        """Return it, None where none was ever used. Raises `SettingsError`.

        What was used of another site, or was deleted since, is forgotten.
        """
        file = Path(self.data_dir) / FILE
        if not self.site:
            self._forget()
            return None
        try:
            document: object = orjson.loads(file.read_bytes())
            site, revision = revision_from_document(document, self.keys.sealing)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, DocumentError) as error:
            cure = "mend it, or remove it to start with what is published, or with what the location's own file says"
            raise SettingsError((f"{file}: what was used last can't be read ({error}); {cure}",)) from error
        counts = site == self.site and not (isinstance(document, dict) and _DELETED in document)
        if not counts:
            self._forget()
        if site != self.site or not (counts or self.is_worker):
            return None
        if counts and document != self._document(revision):
            with suppress(SettingsError):  # sealed with an older key, which can be forgotten once nothing needs it
                self.write(revision)
        return revision

    def _forget(self) -> None:
        if not self.is_worker:
            with suppress(OSError):
                (Path(self.data_dir) / FILE).unlink()

    def mark_deleted(self, revision: Revision) -> None:
        """Have the location not start with it again. Raises `SettingsError`."""
        self._write({**self._document(revision), _DELETED: True})

    def _document(self, revision: Revision) -> dict[str, object]:
        return revision_to_document(self.site, revision, self.keys.sealing[0] if self.keys.sealing else None)

    def write(self, revision: Revision) -> None:
        """Keep another one, whole or not at all. Raises `SettingsError`."""
        self._write(self._document(revision))

    def _write(self, document: dict[str, object]) -> None:
        file = Path(self.data_dir) / FILE
        try:
            write_secret(file, orjson.dumps(document).decode())
        except OSError as error:
            raise SettingsError((f"{file}: the configuration can't be kept: {error.strerror}",)) from error


@dataclass(slots=True)
class Configured:
    """Which configuration of its site a location runs, and which one it could not take, and why.

    `swap` takes a revision of a generation into use and returns a line about it, or raises `SettingsError`: then the
    one before is still in use. `report` takes lines for the operator. `deleted` has the location not start with a
    revision again; it raises `SettingsError`.
    """

    site: str
    swap: Callable[[Revision, int], Awaitable[str]]
    report: Callable[[str], None]
    deleted: Callable[[Revision], None]
    kept: Revision | None = None
    """What the location starts with, and what a reload takes: the one in use, if it could be used."""
    current: Revision | None = None
    refused: RefusedConfiguration | None = None
    has_routes: bool = True
    _ailing: asyncio.Event = field(default_factory=asyncio.Event)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def follow(self, catalog: Catalog) -> None:
        """Take what is in force into use. What could not be used is tried again with each catalog."""
        async with self._one_at_a_time:
            await self._follow(catalog)

    async def heal(self, latest: Callable[[], Catalog], changed: Callable[[], None]) -> None:
        """Try again what could not be used, for ever: a file may come, a disk have room. `changed` when it helped."""
        while True:
            await self._ailing.wait()
            wait = FIRST_RETRY
            while (refused := self.refused) is not None:
                await asyncio.sleep(wait)
                wait = min(2 * wait, LAST_RETRY)
                await self.follow(latest())
                if self.refused != refused:
                    changed()
            self._ailing.clear()

    async def _follow(self, catalog: Catalog) -> None:
        known = catalog.configurations.get(self.site)
        wanted = None if known is None else known.in_force
        if wanted is None:
            if known is not None and known.is_deleted and self.current is not None:
                self._let_go(self.current)
            return
        if _are_same(wanted, self.current):
            self.refused = None
            return
        try:
            said = await self.swap(wanted, catalog.generation)
        except SettingsError as error:
            self.refuse(wanted, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, later ones must still be followed
            _log.exception("configuration %d of site %s", wanted.number, self.site)
            told = f"it failed inside edgefn ({type(error).__name__}); the log says how"
            self.refuse(wanted, SettingsError((told,)))
        else:
            self.report(f"configuration {wanted.number} of site {self.site}: {said}")

    def _let_go(self, deleted: Revision) -> None:
        """Stay with what is in use though it was deleted: what stands in the location's own file may be far older."""
        why = "it was deleted, and is in use here until the location is started again; then its own file counts"
        if self.refused is None or self.refused.why != why:
            try:
                self.deleted(deleted)
            except SettingsError as error:
                self.refuse(deleted, error)
                return
            self.report(f"configuration {deleted.number} of site {self.site}: {why}")
            self.refused = RefusedConfiguration(deleted.number, why)

    def refuse(self, revision: Revision, error: SettingsError) -> None:
        """Note that a revision can't be used here."""
        refused = RefusedConfiguration(revision.number, "; ".join(error.problems))
        if refused != self.refused:
            self.report(f"configuration {revision.number} of site {self.site} can't be used here: {refused.why}")
        self.refused = refused
        self._ailing.set()

    def use(self, revision: Revision | None, settings: Settings) -> None:
        """Note what is in use from now on."""
        self.kept = self.current = revision
        self.refused = None
        self.has_routes = bool(settings.routes)

    def note(self) -> str:
        """Return what is to be said of a file that was read again, beside which a published configuration is in use."""
        if self.current is None:
            return ""
        return f"; routes and origins are those of configuration {self.current.number} of site {self.site}"

    def complete(self, status: LocationStatus) -> LocationStatus:
        """Return a location's status with what is in use."""
        number = 0 if self.current is None else self.current.number
        refused = self.refused
        if refused is None and not self.has_routes:
            why = "nothing is published for it, and the location's own file has no routes: viewers get 503"
            refused = RefusedConfiguration(0, why)
        return replace(status, site=self.site, configuration=number, refused=refused)

    def first_settings(self, read: Read) -> Settings:
        """Return the settings to start with: with what was kept. What can't be used leaves nothing to answer by.

        Raises `SettingsError` where the location's own file is wrong.
        """
        settings = read(None)
        if self.kept is not None:
            try:
                settings = read(self.kept)
            except SettingsError as error:
                self.refuse(self.kept, error)
                settings = _without_routes(settings)
            else:
                self.current = self.kept
        self.has_routes = bool(settings.routes)
        return settings


def own_functions(read: Read, running: Settings) -> Collection[str]:
    """Return the functions in a location's file as it is now; those in use where it can't be read."""
    try:
        return read(None).functions
    except SettingsError:
        return running.functions


def _without_routes(settings: Settings) -> Settings:
    """Return the settings of a location that has nothing to answer by."""
    return replace(settings, routes=(), origins={}, origin_groups={}, error_pages={})


def _are_same(one: Revision, other: Revision | None) -> bool:
    return other is not None and (one.number, one.document) == (other.number, other.document)
