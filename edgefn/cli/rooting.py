"""What of `edgefn keys` is about an offline root: its key, its word on who may sign, and believing that."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edgefn.cli.naming import whole
from edgefn.functions.keys import (
    ROOT_FILE,
    TRUST_FILE,
    KeysError,
    make_signing_key,
    parse_public,
    pin,
    public_line,
    read_chain,
    read_signing_key,
    write_chain,
)
from edgefn.functions.roles import Duty, Role, Trust
from edgefn.functions.signing import SigningKey, key_id
from edgefn.functions.trust import TrustError, chained, drafted, links, read, signed
from edgefn.node import world

_DAY: Final = 86_400.0
_DUTIES: Final = ("release", "publisher", "root")

EXAMPLES = """\
  edgefn keys root --dir /media/usb/root     an offline root's key: on a medium that is kept away from all machines
  edgefn keys publisher --dir control/keys   a key of its own for functions and versions
  edgefn keys authorize trust.json --root /media/usb/root --release 'ed25519 AAA... control' --days 365
                                             the root's next word on who may sign; what is not given stays as it was
  edgefn keys cosign trust.json --root /media/other/root     a second root's signature
  edgefn keys pin trust.json --dir control/keys              believe it here: a control plane publishes it
"""


def add(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the actions."""
    root = actions.add_parser("root", help="make the key of an offline root")
    root.add_argument("--dir", metavar="DIR", type=Path, required=True, help="where it is kept")
    publisher = actions.add_parser("publisher", help="make a key of its own for functions and versions")
    publisher.add_argument("--dir", metavar="DIR", type=Path, default=Path("var/keys"), help="(default var/keys)")
    authorize = actions.add_parser("authorize", help="say who may sign from now on, with an offline root")
    for duty in _DUTIES:
        authorize.add_argument(f"--{duty}-key" if duty == "root" else f"--{duty}", action="append", metavar="KEY")
    authorize.add_argument(
        "--threshold", type=whole(1, 100), help="how many of the roots must sign (default: as before, or 1)"
    )
    authorize.add_argument("--days", type=whole(1, 36_500), default=365, help="how long it holds (default 365)")
    cosign = actions.add_parser("cosign", help="add a root's signature to its newest word")
    for action in (authorize, cosign):
        action.add_argument("file", metavar="FILE", type=Path, help="the chain of all its words, trust.json")
        action.add_argument("--root", metavar="DIR", type=Path, action="append", required=True, help="a root's key")
    pinning = actions.add_parser("pin", help="believe an offline root's word here")
    pinning.add_argument("file", metavar="FILE", type=Path, help="its trust.json")
    pinning.add_argument("--dir", metavar="DIR", type=Path, default=Path("var/keys"), help="(default var/keys)")


def run(given: argparse.Namespace) -> int:
    """Run one of the actions. Raises `KeysError`."""
    work: Mapping[str, Callable[[argparse.Namespace], None]] = {
        "root": lambda given: _make(given.dir / ROOT_FILE, "root"),
        "publisher": lambda given: _make(given.dir / "publisher.key", "publisher"),
        "authorize": _authorize,
        "cosign": _cosign,
        "pin": _pin,
    }
    try:
        work[given.action](given)
    except TrustError as error:
        raise KeysError(f"{given.file}: {error}") from error
    return 0


ACTIONS: Final = frozenset({"root", "publisher", "authorize", "cosign", "pin"})


def _make(file: Path, name: str) -> None:
    key = make_signing_key(file, os.urandom)
    print(f"{file}: {key_id(key.public)} (secret: keep it, and a copy)")
    print(f"for others: {public_line(key.public, name)}")


def _authorize(given: argparse.Namespace) -> None:
    before = _documents(given.file)
    last = read(before[-1]) if before else None
    keys = _roots(given.root)
    named = {
        Duty.ROOT: _role(given.root_key, last, Duty.ROOT, [key.public for key in keys]),
        Duty.RELEASE: _role(given.release, last, Duty.RELEASE, []),
        Duty.PUBLISHER: _role(given.publisher or given.release, last, Duty.PUBLISHER, []),
    }
    if given.threshold is not None:
        named[Duty.ROOT] = replace(named[Duty.ROOT], threshold=given.threshold)
    expires = world.wall() + given.days * _DAY
    document = drafted(Trust(1 if last is None else last.version + 1, expires, named))
    for key in keys:
        document = signed(document, key)
    trust = read(document)  # as it will be read: with everything that is wrong in it
    write_chain(given.file, chained([*before, document]))
    _show(given.file, trust)


def _cosign(given: argparse.Namespace) -> None:
    *before, last = _documents(given.file) or [b""]
    for key in _roots(given.root):
        last = signed(last, key)
    write_chain(given.file, chained([*before, last]))
    _show(given.file, read(last))


def _pin(given: argparse.Namespace) -> None:
    chain = read_chain(given.file)
    if chain is None:
        raise KeysError(f"{given.file}: there is no such file")
    links(chain)  # what is wrong with the file itself is said of the file
    _show(given.dir / TRUST_FILE, pin(given.dir, chain))


def _documents(file: Path) -> list[bytes]:
    chain = read_chain(file)
    return [] if chain is None else links(chain)


def _roots(directories: Sequence[Path]) -> list[SigningKey]:
    keys = []
    for directory in directories:
        key = read_signing_key(directory / ROOT_FILE)
        if key is None:
            raise KeysError(f"{directory / ROOT_FILE}: is missing; `edgefn keys root --dir {directory}` makes one")
        keys.append(key)
    return keys


def _role(lines: list[str] | None, last: Trust | None, duty: Duty, otherwise: list[bytes]) -> Role:
    if lines is None and last is not None:
        return last.roles[duty]
    publics = [parse_public(line)[0] for line in lines] if lines else otherwise
    if not publics:
        raise KeysError(f"--{duty}: is missing: give the line that `edgefn keys show` prints where the key is")
    threshold = 1 if last is None else min(last.roles[duty].threshold, len(publics))
    return Role({key_id(public): public for public in publics}, threshold)


def _show(file: Path, trust: Trust) -> None:
    until = datetime.fromtimestamp(trust.expires, UTC).date().isoformat()
    print(f"{file}: version {trust.version}, until {until}")
    for line in words(trust):
        print(line)


def words(trust: Trust) -> list[str]:
    """Return a line for each duty: who has it."""
    return [
        f"{duty.value:<13} {' '.join(sorted(role.keys))}"
        + (f" ({role.threshold} of them must sign)" if role.threshold > 1 else "")
        for duty, role in trust.roles.items()
    ]
