"""`edgefn keys`: makes the keys that sign and seal what is published, and says whose signatures count."""

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from edgefn.cli import rooting
from edgefn.cli.reading import read_settings
from edgefn.functions.committing import PublishError, Senses
from edgefn.functions.keys import (
    KeysError,
    distrust,
    make_keys,
    parse_public,
    public_line,
    read_keys,
    trust,
    trusted_keys,
)
from edgefn.functions.publishing import Publisher, untried
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.signing import Keys, key_id
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import world
from edgefn.node.replication import open_keys, open_replica

EXAMPLES = f"""\
examples:
  edgefn keys new                            make keys to sign and to seal with, in ./var/keys
  edgefn keys new --rotate                   make new ones; what the old ones signed and sealed still counts
  edgefn keys show --dir /etc/edgefn/keys    say which keys there are; secrets are never shown
  edgefn keys trust 'ed25519 AAA... build'   let the signatures of another key count: `show` there prints the line
  edgefn keys distrust build                 let them count no more
  edgefn keys sign config/edgefn.yaml        sign anew what was published before there were keys, or with others
{rooting.EXAMPLES}
DIR is `keys` in the data directory, or `signatures.keys` of the configuration. A location reads it when it starts.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", dest="action", required=True)
    new = _action(actions, "new", "make keys to sign and to seal with")
    new.add_argument("--rotate", action="store_true", help="in the place of those that are there")
    new.add_argument("--keep-sealing", action="store_true", help="but for the one that seals, which locations have")
    _action(actions, "show", "say which keys there are")
    trusting = _action(actions, "trust", "let the signatures of a public key count")
    trusting.add_argument("key", metavar="KEY", help="the line that `edgefn keys show` prints where the key is")
    trusting.add_argument("--name", help="what to call it here (default: the name in the line)")
    distrusting = _action(actions, "distrust", "let the signatures of a public key count no more")
    distrusting.add_argument("key", metavar="KEY", help="its name or its id")
    summary = "sign anew all that is published on this machine"
    rooting.add(actions)
    signing = actions.add_parser("sign", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    signing.add_argument("config", metavar="CONFIG", help="the configuration of the location; it may run meanwhile")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument("--dir", metavar="DIR", type=Path, default=Path("var/keys"), help="(default var/keys)")
    return parser


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.action == "sign":
        return _sign(read_settings(given.config))
    try:
        if given.action in rooting.ACTIONS:
            return rooting.run(given)
        directory: Path = given.dir
        match given.action:
            case "new":
                make_keys(directory, os.urandom, rotate=given.rotate, keep_sealing=given.keep_sealing)
            case "trust":
                public, name = parse_public(given.key)
                trust(directory, public, given.name or name or key_id(public))
            case "distrust":
                distrust(directory, given.key)
            case _:
                pass
        _show(directory, read_keys(directory, SignaturePolicy.WARN))
    except KeysError as error:
        print(f"edgefn keys: {error}", file=sys.stderr)
        return 1
    return 0


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
        generation = asyncio.run(_signed_anew(settings.data_dir, keys))
    except (PublishError, ReplicaError) as error:
        print(f"edgefn keys: {error}", file=sys.stderr)
        return 1
    print(f"signed with {key_id(keys.signing.public)}: generation {generation}")
    return 0


async def _signed_anew(data_dir: str, keys: Keys) -> int:
    async with AsyncExitStack() as stack:
        replica = await open_replica(stack, data_dir)
        return await Publisher(replica, keys, untried, Senses(world.wall, world.invocation_id)).sign_anew()
