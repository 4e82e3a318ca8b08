"""Which directories hold the shared libraries that a runtime needs: enough to run it, and not all of /usr."""

import os
from glob import glob

from edgefn.sandbox.process.bwrap import Bind, Link, Mount

_SHARED_DATA = (
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/usr/share/nodejs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ld.so.cache",
)


def system_mounts(machine: str, root: str = "/") -> tuple[Mount, ...]:
    """Return the mounts of the system's libraries, certificates and time zones, as laid out below `root`.

    Known layouts: Debian's (one directory per machine type), Fedora's (lib64), Alpine's and Arch's (plain lib), each
    with /lib merged into /usr or not.
    """

    def on_host(path: str) -> str:
        return os.path.join(root, path.lstrip("/"))

    mounts: list[Mount] = []
    for top in ("/lib", "/lib64"):
        if os.path.islink(on_host(top)):
            mounts.append(Link(os.readlink(on_host(top)), top))
        else:
            mounts += _libraries(top, machine, root)
    for top in ("/usr/lib64", "/usr/lib"):
        mounts += _libraries(top, machine, root)
    mounts += [Bind(path, path, optional=True) for path in _SHARED_DATA if os.path.lexists(on_host(path))]
    return tuple(mounts)


def _libraries(top: str, machine: str, root: str) -> list[Mount]:
    """Return the mounts below one real library directory: its part for this machine, else all of it."""
    host = os.path.join(root, top.lstrip("/"))
    if not os.path.isdir(host) or os.path.islink(host):
        return []
    ours = f"{top}/{machine}-linux-gnu"
    loaders = [f"{top}/{os.path.basename(path)}" for path in sorted(glob(f"{host}/ld-*.so*"))]
    if os.path.isdir(os.path.join(root, ours.lstrip("/"))):
        return [Bind(path, path) for path in (ours, *loaders)]
    if top == "/usr/lib" and os.path.isdir(os.path.join(root, "usr/lib64")):
        return [Bind(path, path) for path in loaders]
    return [Bind(top, top)]
