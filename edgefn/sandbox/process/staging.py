"""The launcher's own directory on the host: what sandboxes mount, readable to their user and writable only to us."""

import os
import shutil
from dataclasses import dataclass

from edgefn.sandbox.process.bwrap import GID, RUNTIME, UID, Bind, Link, Mount
from edgefn.sandbox.process.identity import Identity, obstacle
from edgefn.sandbox.process.launch import LaunchError

_CONFINE = os.path.join(os.path.dirname(__file__), "bootstrap", "confine.py")
_PARTS = ("runtime", "etc", "bin", "empty", "slots")

_ETC = {
    "passwd": f"root:x:0:0::/:/bin/false\nfunction:x:{UID}:{GID}::/tmp:/bin/false\n",
    "group": f"root:x:0:\nfunction:x:{GID}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "resolv.conf": "nameserver 127.0.0.53\noptions timeout:2 attempts:1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@dataclass(frozen=True, slots=True)
class Staging:
    """A prepared directory."""

    directory: str

    @property
    def slots(self) -> str:
        """The directory in which slots are made."""
        return os.path.join(self.directory, "slots")

    @property
    def runtime(self) -> str:
        """The directory with the programs that speak with us from inside."""
        return os.path.join(self.directory, "runtime")

    @property
    def confine(self) -> str:
        """The program that takes on Landlock rules."""
        return os.path.join(self.runtime, os.path.basename(_CONFINE))

    @property
    def empty(self) -> str:
        """A directory with nothing in it, to mount over what is to be hidden."""
        return os.path.join(self.directory, "empty")

    def mounts(self, *, hosts: bool) -> tuple[Mount, ...]:
        """Return the mounts of /var/runtime and /etc; `hosts` False leaves /etc/hosts to the caller."""
        names = [name for name in _ETC if hosts or name != "hosts"]
        etc = [Bind(os.path.join(self.directory, "etc", name), f"/etc/{name}") for name in names]
        return (Bind(self.runtime, RUNTIME), *etc, Link("/usr/share/zoneinfo/UTC", "/etc/localtime"))

    def stage(self, program: str, name: str) -> str:
        """Put a program where the sandbox's user can run it, without a copy where the file system allows.

        `name` may have folders in it, for what is found by its place beside another file.
        """
        place = os.path.join(self.directory, "bin", name)
        folder = os.path.join(self.directory, "bin")
        for part in os.path.dirname(name).split("/"):
            folder = os.path.join(folder, part)
            if not os.path.isdir(folder):
                os.mkdir(folder)
                os.chmod(folder, 0o711)  # noqa: S103 - to be passed through by another user
        if not os.path.exists(place):
            try:
                os.link(program, place)
            except OSError:
                shutil.copyfile(program, place)
        if os.stat(place).st_mode & 0o555 != 0o555:
            # Never change the mode of the operator's own file through a hard link.
            os.unlink(place)
            shutil.copyfile(program, place)
            os.chmod(place, 0o755)  # noqa: S103 - it is there to be run by another user
        return place

    def remove(self) -> None:
        """Remove all that was staged, and every slot."""
        for part in _PARTS:
            shutil.rmtree(os.path.join(self.directory, part), ignore_errors=True)


def prepare(directory: str, bootstrap: str, identity: Identity) -> Staging:
    """Make the directory ready, with copies of the files in `bootstrap`. Raises LaunchError.

    Others may enter it but not list it.
    """
    staging = Staging(os.path.realpath(directory))
    try:
        os.makedirs(staging.directory, exist_ok=True)
        os.chmod(staging.directory, 0o711)  # noqa: S103 - to be passed through, not listed
        staging.remove()
        for part in _PARTS:
            os.mkdir(os.path.join(staging.directory, part))
            os.chmod(os.path.join(staging.directory, part), 0o711 if part in ("bin", "slots", "etc") else 0o755)
        for name, text in _ETC.items():
            _place(os.path.join(staging.directory, "etc", name), text.encode())
        for path in (_CONFINE, *(entry.path for entry in os.scandir(bootstrap) if entry.is_file())):
            with open(path, "rb") as file:
                _place(os.path.join(staging.runtime, os.path.basename(path)), file.read())
    except OSError as error:
        raise LaunchError(f"The sandbox directory {directory} cannot be made ready: {error}.") from error
    closed = obstacle(staging.slots, identity, 1)
    if closed is not None:
        raise LaunchError(
            f"The sandbox directory {directory} is out of reach for the user {identity.name!r}: it may not enter "
            f"{closed}. Choose a directory below /run or /tmp, or `chmod o+x {closed}`."
        )
    return staging


def _place(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o644)


def remove_tree(directory: str) -> None:
    """Remove a directory that a function has filled, also what it made unreadable. What can't be removed stays."""
    if os.geteuid() != 0:
        for folder, names, _ in os.walk(directory):
            for path in (os.path.join(folder, name) for name in names):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(directory, ignore_errors=True)
