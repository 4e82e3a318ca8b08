"""`edgefn deploy`: publishes a function as a new version, points an alias at it, waits until the locations have it."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.naming import name, whole
from edgefn.cli.tables import as_json
from edgefn.cli.waiting import STATUSES, add_waiting, percent, wait_for
from edgefn.configuration.functions import flaw_of_layers
from edgefn.control.client import ControlClient, ControlError, Part
from edgefn.control.uploads import PACKED
from edgefn.functions.bundle import BundleError
from edgefn.functions.layers import read_with_layers
from edgefn.functions.packing import packed
from edgefn.model.errors import SettingsError
from edgefn.rules.log_line import one_line

EXAMPLES = f"""\
examples:
  edgefn deploy hooks/ab-test --name ab-test --runtime nodejs20.x
  edgefn deploy hooks/ab-test --name ab-test --weight 10% --wait 95%
  edgefn deploy report --name report --runtime python3.12 --layer libraries.zip
  edgefn deploy geo.wasm --name geo --runtime wasm --memory 128MB --timeout 50ms --alias beta
  edgefn deploy moved.js --name moved --runtime cloudfront-js-2.0 --kvs redirects
  edgefn deploy dist.zip --name auth --env STAGE=live --control https://control.example:8443 --token-file ci.token

What is not given stays as the function's draft has it; --env replaces all variables. The code is tried before anything
changes. The same code and settings again make no new version. A function reads one key-value store, which --kvs names
as `kvs` in each location's file does; the control plane's file may have one of that name too, to try the function with.
{STATUSES}
"""

_WHOLE = 10_000
_ARGUMENTS = {"environment": "env"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("path", metavar="PATH", help="a directory, a zip, or one source file")
    layer = "a directory or zip that is laid under it, seen in /opt; repeatable, up to five"
    parser.add_argument("--layer", metavar="PATH", action="append", default=[], help=layer)
    parser.add_argument("--name", type=name, required=True, help="the function's name")
    add_settings(parser)
    parser.add_argument("--description", default="", help="what is new")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--alias", default="live", type=name, help="the alias to point at the version (default live)")
    target.add_argument("--no-alias", action="store_true", help="publish the version, and point nothing at it")
    parser.add_argument("--weight", metavar="10%", type=weighted, default=_WHOLE, help="its share of the alias")
    add_waiting(parser)
    add_connection(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that are settings of the function."""
    parser.add_argument("--runtime", help="nodejs20.x, python3.12, cloudfront-js-2.0, js, wasm ...")
    parser.add_argument("--handler", help="as in AWS: FILE.EXPORT")
    parser.add_argument("--memory", metavar="MB", type=sized, help="such as 256 or 256MB")
    parser.add_argument("--timeout", metavar="S", type=timed, help="of an invocation, such as 5, 5s or 250ms")
    parser.add_argument("--env", metavar="K=V", action="append", type=pair, help="an environment variable; repeatable")
    parser.add_argument("--network", metavar="HOST:PORT", action="append", help="where it may connect to; repeatable")
    stores = parser.add_mutually_exclusive_group()
    stores.add_argument(
        "--kvs", metavar="NAME", type=name, help="the key-value store that it reads: a name in `kvs` of locations"
    )
    stores.add_argument("--no-kvs", action="store_true", help="it reads none any more")
    parser.add_argument("--concurrency", metavar="N", type=whole(1, 1000), help="invocations at one time")
    parser.add_argument("--provisioned", metavar="N", type=whole(0, 1000), help="sandboxes to start ahead")


def pair(text: str) -> tuple[str, str]:
    """Return name and value of "K=V". Raises `ArgumentTypeError`."""
    named, equals, value = text.partition("=")
    if not equals or not named:
        raise argparse.ArgumentTypeError(f"{text!r} has no {'name' if equals else '='}; write NAME=VALUE")
    return named, value


def sized(text: str) -> str:
    """Return a memory size with its unit."""
    return f"{text}MB" if text.isdecimal() else text


def timed(text: str) -> str:
    """Return a duration with its unit."""
    return f"{text}s" if re.fullmatch(r"[0-9.]+", text) else text


def weighted(text: str) -> int:
    """Return a weight in 1/10,000. Raises `ArgumentTypeError`."""
    part = percent(text)
    if part is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write one such as 10% or 2.5%, at most 100%")
    return max(1, round(part * _WHOLE))


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    flaw = flaw_of_layers(given.runtime) if given.layer and given.runtime else None
    if flaw is not None:
        raise SettingsError((f"--layer: {flaw}",))
    try:
        content = packed(read_with_layers(given.path, given.layer))
    except BundleError as error:
        told = str(error)
        raise SettingsError((told if told.startswith(given.path) else f"{given.path}: {told}",)) from error
    return run_with(given, "deploy", lambda client: _deploy(given, client, content))


def settings_of(given: argparse.Namespace) -> dict[str, object]:
    """Return the settings that the arguments give, as the API takes them."""
    names = ("runtime", "handler", "memory", "timeout", "network", "kvs", "concurrency", "provisioned")
    settings: dict[str, object] = {key: value for key in names if (value := getattr(given, key, None)) is not None}
    if given.env is not None:
        settings["environment"] = dict(given.env)
    if given.no_kvs:
        settings["kvs"] = None
    return settings


async def _deploy(given: argparse.Namespace, client: ControlClient, content: bytes) -> int:
    deployment = {
        "settings": settings_of(given),
        "description": given.description,
        "alias": None if given.no_alias else given.alias,
        "weight": given.weight,
    }
    path = f"/v1/functions/{given.name}/deployments"
    with by_its_argument():
        told = await client.upload("POST", path, deployment_parts(deployment, content))
    if not given.json:
        print(_published(told))
        sys.stdout.flush()
        print_notes(told)
    waited = await wait_for(client, given, told.get("generation"), given.name)
    if given.json:
        print(as_json({**told, "progress": waited.progress or None}))
    elif given.wait is not None:
        print(f"{'done' if waited.status == DONE else 'not everywhere'}: {waited.words}")
    return waited.status


def print_notes(told: dict[str, object]) -> None:
    """Print what the control plane has to say of how a function was run there."""
    notes = told.get("notes")
    for note in notes if isinstance(notes, list) else []:
        print(f"edgefn: {one_line(str(note))}", file=sys.stderr, flush=True)


@contextmanager
def by_its_argument() -> Iterator[None]:
    """Let a refused setting be told by the name of its argument here."""
    try:
        yield
    except ControlError as error:
        words = re.sub(r"^settings\.([a-z]+)", lambda found: f"--{_ARGUMENTS.get(found[1], found[1])}", str(error))
        raise ControlError(words, code=error.code) from error


def deployment_parts(deployment: dict[str, object], content: bytes) -> dict[str, Part]:
    """Return what is uploaded: how to deploy, and the packed files."""
    return {"deployment": Part("application/json", as_json(deployment).encode()), "bundle": Part(PACKED, content)}


def _published(told: dict[str, object]) -> str:
    match told:
        case {"version": {"function": str(function), "version": str(version)}, "is_new": bool(is_new), "alias": alias}:
            made = f"{function}:{version} {'published' if is_new else 'has this code and these settings already'}"
            return f"{made}{_points(function, alias)} (generation {told.get('generation')})"
        case _:
            return str(told)


def _points(function: str, alias: object) -> str:
    match alias:
        case {"name": str(alias_name), "targets": [*targets]}:
            return f"; {function}:{alias_name} -> {shares(targets)}"
        case _:
            return ""


def shares(targets: object) -> str:
    """Return what an alias points at, such as "7" or "6 (90%), 7 (10%)"."""
    found = [each for each in targets if isinstance(each, dict)] if isinstance(targets, list) else []
    if len(found) == 1:
        return str(found[0].get("version"))
    return ", ".join(f"{each.get('version')} ({_share(each.get('weight'))})" for each in found)


def _share(weight: object) -> str:
    return f"{weight / 100:g}%" if isinstance(weight, int) else "?"
