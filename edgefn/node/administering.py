"""Opens the control API of a process."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TextIO

from edgefn.control.admin import Admin, Gate
from edgefn.control.credentials import ensure_token
from edgefn.control.endpoints import Endpoint
from edgefn.control.retries import Retries
from edgefn.control.token_endpoints import token_endpoints
from edgefn.control.tokens import Tokens
from edgefn.functions.logs import LineWriter
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Certificate
from edgefn.node import world
from edgefn.node.tending import tend
from edgefn.wire.listening import unavailable
from edgefn.wire.tls import Certificates

_AUDIT_LOG = "audit.log"
_LOOK = 2.0
"""Seconds between two looks at the files of the certificate."""
_log = logging.getLogger("edgefn")


async def open_admin(
    stack: AsyncExitStack,
    admin: tuple[str, int],
    data_dir: str,
    endpoints: Sequence[Endpoint],
    tokens: Tokens | None = None,
    tls: Certificate | None = None,
) -> Admin:
    """Return the running control API, which `stack` closes, at https:// with `tls`. Raises `SettingsError`."""
    try:
        operator = ensure_token(data_dir, world.token())
        tokens = tokens or Tokens(data_dir, operator, wall=world.wall, fresh=world.token)
        audit = open_audit(stack, data_dir)
    except OSError as error:
        where = error.filename or data_dir  # none where the disk is full
        why = f"data_dir: {where} can't be written: {error.strerror}; name a directory that is yours"
        raise SettingsError((why,)) from error
    except ValueError as error:
        raise SettingsError((f"data_dir: {error}",)) from error
    gate = Gate(tokens, audit, world.timestamp, Retries(world.monotonic), world.version())
    opened = Admin(gate, [*endpoints, *token_endpoints(tokens)])
    stack.push_async_callback(opened.close)
    certificates = None if tls is None else Certificates((tls,))
    try:
        await opened.start(*admin, None if certificates is None else certificates.context)
    except OSError as error:
        raise SettingsError((f"admin: {unavailable(*admin, error)}",)) from error
    if certificates is not None and tls is not None:
        tend(stack, _keep_fresh(certificates, tls))
    return opened


def open_audit(stack: AsyncExitStack, data_dir: str) -> Callable[[str], None]:
    """Return what adds a line to the audit log. Raises `SettingsError`."""
    try:
        return stack.enter_context(LineWriter(stack.enter_context(_private(Path(data_dir) / _AUDIT_LOG)))).write
    except OSError as error:
        where = error.filename or data_dir  # none where the disk is full
        why = f"data_dir: {where} can't be written: {error.strerror}; name a directory that is yours"
        raise SettingsError((why,)) from error


async def _keep_fresh(certificates: Certificates, tls: Certificate) -> None:
    """Use the certificate that is in the files now, whenever they change. One that can't be read changes nothing."""
    told, known = "", await asyncio.to_thread(_stamps, tls)
    while True:
        await asyncio.sleep(_LOOK)
        found = await asyncio.to_thread(_stamps, tls)
        if found == known:
            continue
        try:
            certificates.use(await asyncio.to_thread(certificates.load))
        except SettingsError as error:
            if str(error) != told:
                _log.warning("the control API keeps its old certificate: %s", "; ".join(error.problems))
            told = str(error)
        else:
            known, told = found, ""


def _stamps(tls: Certificate) -> tuple[tuple[int, int], ...]:
    """Return what tells whether the files have changed."""
    found = []
    for file in (tls.certificate, tls.key):
        with suppress(OSError):
            at = os.stat(file)
            found.append((at.st_mtime_ns, at.st_ino))
    return tuple(found)


def _private(path: Path) -> TextIO:
    """Open a log that only its owner can read, to add to it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
