"""A location's credentials for its fleet's NATS: asked for anew at half of their life, and what there is to know."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edgefn.control.client import ControlError
from edgefn.functions.replicas.nats.layout import location_inbox
from edgefn.functions.replicas.nats.link import Address, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, NkeyError
from edgefn.model.errors import SettingsError
from edgefn.node import world
from edgefn.node.membership import FILE, Membership, read_membership, renewed, write_membership
from edgefn.rules.renewal import is_due, pause

_LOOK: Final = 60.0
"""Seconds of one sleep at most: the clock may jump, and machines are suspended."""
_OLD_LIFETIME: Final = 7 * 86_400.0


@dataclass(slots=True)
class Credentials:
    """The credentials in force. `report` hears when they can't be renewed, when they run out, and when all is well."""

    data_dir: str
    membership: Membership
    report: Callable[[str], None]
    _trouble: str = ""
    _told: str = ""

    @classmethod
    def read(cls, data_dir: str, report: Callable[[str], None]) -> "Credentials":
        """Return what this location keeps. Raises `SettingsError`."""
        membership = read_membership(data_dir)
        credentials = cls(data_dir, membership, report)
        try:
            KeyPair.from_seed(membership.seed)
            credentials.address()
        except (NkeyError, ssl.SSLError, ValueError) as error:
            raise SettingsError((f"{FILE}: {error}; `edgefn location join` makes it anew",)) from error
        return credentials

    def address(self) -> Address:
        """Return where the servers are, and how we come in."""
        mine = self.membership
        tls = ssl.create_default_context(cadata=mine.ca) if mine.ca else None
        login = Login(mine.token, KeyPair.from_seed(mine.seed))
        return Address(mine.servers, lambda: login, tls, location_inbox(mine.location), mine.location)

    def notes(self) -> Sequence[str]:
        """Return what whoever asks how the location is should know of them: nothing while all is well."""
        if not self._trouble:
            return ()
        until = world.moment(self.membership.expires)
        told = f"the fleet's credentials hold until {until} and can't be renewed"
        if world.wall() >= self.membership.expires:
            told = f"the fleet's credentials ran out at {until}, so nothing new is taken over until they are renewed"
        return (f"{told}: {self._trouble}",)

    async def keep_fresh(self, use: Callable[[Address], None]) -> None:
        """Renew them in time, for ever; `use` is given what is to be used from then on."""
        while True:
            now, mine = world.wall(), self.membership
            issued = mine.issued or mine.expires - _OLD_LIFETIME
            if not is_due(issued, mine.expires, now):
                await asyncio.sleep(min(_LOOK, issued + (mine.expires - issued) / 2 - now))
                continue
            if await self._renewed():
                use(self.address())
            else:
                wait = pause(issued, mine.expires, now) * (0.5 + world.jitter())
                if now < mine.expires:
                    wait = min(wait, mine.expires - now)
                await asyncio.sleep(min(_LOOK, wait))

    async def _renewed(self) -> bool:
        try:
            self.membership = await renewed(self.membership)
            self._trouble = ""
            write_membership(self.data_dir, self.membership)
        except ControlError as error:
            self._trouble = str(error)
        except OSError as error:
            self.report(f"the fleet's credentials are renewed, and can't be written: {error}")
        self._tell()
        return not self._trouble

    def _tell(self) -> None:
        """Report what is new."""
        told = " ".join(self.notes())
        if told == self._told:
            return
        self._told = told
        self.report(told or f"the fleet's credentials are renewed, until {world.moment(self.membership.expires)}")
