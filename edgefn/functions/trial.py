"""Trying a version before it goes live: unpacked, compiled, started once, and stopped again."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.opening import Host, started
from edgefn.functions.runner import Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LATEST, Manifest
from edgefn.sandbox.base import OpenError

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class SandboxTrial:
    """Tries versions in the sandboxes of `host`: no event runs, only what the function does when it is loaded.

    `scratch` is a directory that sandboxes can read. `surroundings.log` gets what the function prints meanwhile.
    """

    host: Host
    scratch: Path
    surroundings: Surroundings

    async def __call__(self, manifest: Manifest, bundle: Bundle) -> str | None:
        """Return why the version does not start, or None."""
        version = str(manifest.version) if manifest.version else LATEST
        once = replace(manifest.settings, provisioned=1, concurrency=1)
        try:
            async with asyncio.timeout(_PATIENCE):
                runner = await started(self.host, once, version, bundle, self.scratch, self.surroundings)
        except TimeoutError:
            return f"it was not started after {_PATIENCE:g} s"
        except SettingsError as error:
            return "; ".join(error.problems)
        except OSError as error:
            return f"{error.filename or self.scratch}: {error.strerror}"
        except (BundleError, OpenError) as error:
            return str(error)
        await runner.close()
        return None
