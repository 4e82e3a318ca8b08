"""Opens the control API of a process, where the configuration has one."""

from edgefn.control.admin import Admin, Operations
from edgefn.control.credentials import ensure_token
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.wire.listening import unavailable


async def open_admin(settings: Settings, operations: Operations) -> Admin | None:
    """Return the running control API; None for `admin: off`. Raises `SettingsError`."""
    if settings.admin is None:
        return None
    try:
        token = ensure_token(settings.data_dir, world.token())
    except OSError as error:
        why = f"data_dir: {error.filename} can't be written: {error.strerror}; name a directory that is yours"
        raise SettingsError((why,)) from error
    admin = Admin(operations, token)
    try:
        await admin.start(*settings.admin)
    except OSError as error:
        await admin.close()
        raise SettingsError((f"admin: {unavailable(*settings.admin, error)}",)) from error
    return admin
