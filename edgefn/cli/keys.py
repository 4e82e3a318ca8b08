"""`edgefn keys`: makes the keys that sign and seal what is published, and says whose signatures count."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from edgefn.cli import rooting
from edgefn.cli.connecting import add_connection, run_with
from edgefn.cli.reading import read_settings
from edgefn.cli.tables import as_json
from edgefn.control.client import ControlClient
from edgefn.functions.committing import PublishError, Senses
from edgefn.functions.keys import (
    KeysError,
    distrust,
    forget_sealing,
    make_keys,
    parse_public,
    public_line,
    read_keys,
    trust,
    trusted_keys,
)
from edgefn.functions.publishing import Publisher, untried
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.resealing import Resealed
from edgefn.functions.signing import Keys, key_id
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import sealing, world
from edgefn.node.replication import open_keys, open_replica
from edgefn.rules.log_line import one_line

EXAMPLES = f"""\
examples:
  edgefn keys new                            make keys to sign and to seal with, in ./var/keys
  edgefn keys new --rotate                   make new ones; what the old ones signed and sealed still counts
  edgefn keys show --dir /etc/edgefn/keys    say which keys there are; secrets are never shown
  edgefn keys trust 'ed25519 AAA... build'   let the signatures of another key count: `show` there prints the line
  edgefn keys distrust build                 let them count no more
  edgefn keys new --rotate --keep-signing    make a new one that seals; the one that signs stays
  edgefn keys sign config/edgefn.yaml        sign and seal anew what was published without keys, or with others
  edgefn keys sign --control https://control.example:8443 --token-file admin.token        the same for a fleet
  edgefn keys forget 0f3a9c5d1e7b2846        forget an older sealing key, once nothing here needs it any more
{rooting.EXAMPLES}
DIR is `keys` in the data directory, or `signatures.keys` of the configuration. A location reads it when it starts.
"""

_NAMED = 5


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", dest="action", required=True)
    new = _action(actions, "new", "make keys to sign and to seal with")
    new.add_argument("--rotate", action="store_true", help="in the place of those that are there")
    kept = new.add_mutually_exclusive_group()
    kept.add_argument("--keep-sealing", action="store_true", help="but for the one that seals, which locations have")
    kept.add_argument("--keep-signing", action="store_true", help="but for the one that signs, which others trust")
    _action(actions, "show", "say which keys there are")
    trusting = _action(actions, "trust", "let the signatures of a public key count")
    trusting.add_argument("key", metavar="KEY", help="the line that `edgefn keys show` prints where the key is")
    trusting.add_argument("--name", help="what to call it here (default: the name in the line)")
    distrusting = _action(actions, "distrust", "let the signatures of a public key count no more")
    distrusting.add_argument("key", metavar="KEY", help="its name or its id")
    forgetting = _action(actions, "forget", "forget an older sealing key; refused while something here needs it")
    forgetting.add_argument("key", metavar="KEY", help="its id, as `edgefn keys show` prints it")
    where = "where what is published is kept (default: the directory that DIR is in)"
    forgetting.add_argument("--data-dir", metavar="DIR", type=Path, help=where)
    rooting.add(actions)
    summary = "sign and seal anew all that is published on this machine, or through --control in a fleet"
    signing = actions.add_parser("sign", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    one = "the configuration of the location; it may run meanwhile"
    signing.add_argument("file", metavar="CONFIG", nargs="?", help=one)
    add_connection(signing)


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument("--dir", metavar="DIR", type=Path, default=Path("var/keys"), help="(default var/keys)")
    return parser


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.action == "sign":
        if given.file is not None:
            return _sign(read_settings(given.file))
        return run_with(given, "keys", lambda client: _ask_to_sign(given, client))
    try:
        if given.action in rooting.ACTIONS:
            return rooting.run(given)
        directory: Path = given.dir
        match given.action:
            case "new":
                make_keys(directory, os.urandom, **_kept(given))
            case "trust":
                public, name = parse_public(given.key)
                trust(directory, public, given.name or name or key_id(public))
            case "distrust":
                distrust(directory, given.key)
            case "forget":
                _forget(directory, given.data_dir or directory.parent, given.key)
            case _:
                pass
        _show(directory, read_keys(directory, SignaturePolicy.WARN))
    except KeysError as error:
        print(f"edgefn keys: {error}", file=sys.stderr)
        return 1
    return 0


def _kept(given: argparse.Namespace) -> dict[str, bool]:
    return {"rotate": given.rotate, "keep_sealing": given.keep_sealing, "keep_signing": given.keep_signing}


def _forget(directory: Path, data_dir: Path, key: str) -> None:
    needing = asyncio.run(sealing.needing(data_dir, read_keys(directory, SignaturePolicy.WARN), key))
    if needing:
        more = f" and {len(needing) - _NAMED} more" if len(needing) > _NAMED else ""
        cure = "`edgefn keys sign` seals what is published anew"
        raise KeysError(f"{key} is still needed by {', '.join(needing[:_NAMED])}{more}; {cure}")
    forget_sealing(directory, key)


async def _ask_to_sign(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("POST", "/v1/seals", {})
    if given.json:
        print(as_json(told))
        return 0
    left = told.get("left")
    return _say(
        f"signed: generation {told.get('generation')}", told.get("files"), left if isinstance(left, list) else []
    )


def _say(signed: str, files: object, left: Sequence[object]) -> int:
    for line in left:
        print(f"edgefn keys: its files stay sealed as they were: {one_line(str(line))}", file=sys.stderr)
    print(f"{signed}; files sealed anew: {files}")
    return 1 if left else 0


def _show(directory: Path, keys: Keys) -> None:
    if keys.signing is None and not keys.sealing and not keys.trusted:
        print(f"{directory} has no keys: nothing is signed, sealed or verified (`edgefn keys new` makes some)")
        return
    if keys.signing is None:
        print("signs with    nothing")
    else:
        print(f"signs with    {key_id(keys.signing.public)}")
        print(f"              for others: {public_line(keys.signing.public, key_id(keys.signing.public))}")
    print(f"seals with    {keys.sealing[0].id if keys.sealing else 'nothing'}")
    for old in keys.sealing[1:]:
        print(f"opens         {old.id}")
    if keys.publisher is not None:
        print(f"publishes as  {public_line(keys.publisher.public, key_id(keys.publisher.public))}")
    if keys.trust is not None:
        print(f"a root says   version {keys.trust.version} (what else is trusted here does not count)")
        for line in rooting.words(keys.trust):
            print(f"  {line}")
    for public, name in trusted_keys(directory):
        print(f"trusts        {key_id(public)} {name}")


def _sign(settings: Settings) -> int:
    # Whatever is enforced: what is not signed yet has to be read.
    lenient = replace(settings, signatures=replace(settings.signatures, policy=SignaturePolicy.WARN))
    keys = open_keys(lenient)
    if keys.signing is None:
        print("edgefn keys: there is no key to sign with (`edgefn keys new` makes one)", file=sys.stderr)
        return 1
    try:
        resealed, generation = asyncio.run(_signed_anew(settings.data_dir, keys))
    except (PublishError, ReplicaError) as error:
        print(f"edgefn keys: {error}", file=sys.stderr)
        return 1
    signed = f"signed with {key_id(keys.signing.public)}: generation {generation}"
    return _say(signed, resealed.files, resealed.left)


async def _signed_anew(data_dir: str, keys: Keys) -> tuple[Resealed, int]:
    async with AsyncExitStack() as stack:
        replica = await open_replica(stack, data_dir)
        publisher = Publisher(replica, keys, untried, Senses(world.wall, world.invocation_id))
        return await publisher.seal_anew(), await publisher.sign_anew()
