"""Opens the control API of a process."""

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
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
from edgefn.node import world
from edgefn.wire.listening import unavailable

AUDIT_LOG = "audit.log"


async def open_admin(
    stack: AsyncExitStack,
    admin: tuple[str, int],
    data_dir: str,
    endpoints: Sequence[Endpoint],
    tokens: Tokens | None = None,
) -> Admin:
    """Return the running control API, which `stack` closes. Raises `SettingsError`."""
    try:
        operator = ensure_token(data_dir, world.token())
        tokens = tokens or Tokens(data_dir, operator, wall=world.wall, fresh=world.token)
        audit = open_audit(stack, data_dir)
    except OSError as error:
        why = f"data_dir: {error.filename} can't be written: {error.strerror}; name a directory that is yours"
        raise SettingsError((why,)) from error
    except ValueError as error:
        raise SettingsError((f"data_dir: {error}",)) from error
    gate = Gate(tokens, audit, world.timestamp, Retries(world.monotonic), world.version())
    opened = Admin(gate, [*endpoints, *token_endpoints(tokens)])
    stack.push_async_callback(opened.close)
    try:
        await opened.start(*admin)
    except OSError as error:
        raise SettingsError((f"admin: {unavailable(*admin, error)}",)) from error
    return opened


def open_audit(stack: AsyncExitStack, data_dir: str) -> Callable[[str], None]:
    """Return what adds a line to the audit log. Raises `SettingsError`."""
    try:
        return stack.enter_context(LineWriter(stack.enter_context(_private(Path(data_dir) / AUDIT_LOG)))).write
    except OSError as error:
        why = f"data_dir: {error.filename} can't be written: {error.strerror}; name a directory that is yours"
        raise SettingsError((why,)) from error


def _private(path: Path) -> TextIO:
    """Open a log that only its owner can read, to add to it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
