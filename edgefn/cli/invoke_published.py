"""`edgefn invoke NAME[:QUALIFIER]`: runs a published function where it is published."""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping

from edgefn.cli.connecting import DONE, FAILED, run_with
from edgefn.cli.deploy import print_notes
from edgefn.cli.invoke_input import read_events, sample_event
from edgefn.control.client import ControlClient
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LATEST
from edgefn.rules.log_line import for_terminal

_TARGET = r"([A-Za-z0-9_-]{1,64})(?::([A-Za-z0-9_$-]{1,64}))?"
_LOCAL: Mapping[str, object] = {"handler": None, "env": [], "kvs": None, "timeout": 5.0, "memory": 128}
"""What goes with a path only, and what it is when it isn't given."""


def names_a_published_function(given: argparse.Namespace) -> bool:
    """Return whether NAME[:QUALIFIER] is meant, and no path. Raises `SettingsError` when that can't be told.

    With --runtime it is a path. Without, something that is there is one too, but can't be run.
    """
    if given.runtime is not None:
        return False
    if os.path.exists(given.path):
        why = f"{given.path} is a path, so --runtime is needed; for the published function write {given.path}:{LATEST}"
        raise SettingsError((f"the following arguments are required: --runtime ({why})",))
    if not re.fullmatch(_TARGET, given.path):
        told = f"{given.path}: there is no such path, and it is no NAME[:QUALIFIER] of a published function"
        raise SettingsError((told,))
    for name, usual in _LOCAL.items():
        if getattr(given, name) != usual:
            raise SettingsError((f"--{name}: a published function has its own; this goes with a path and --runtime",))
    return True


def run_published(given: argparse.Namespace) -> int:
    """Run each event; print its outcome, and what was logged to standard error."""
    events = [] if given.sample else read_events(given)
    return run_with(given, "invoke", lambda client: _run(given, client, events))


async def _run(given: argparse.Namespace, client: ControlClient, events: list[bytes]) -> int:
    name, _, qualifier = given.path.partition(":")
    failed = 0
    if given.sample:
        events = [sample_event(given.sample, await _runtime(client, name, qualifier or LATEST))]
    for event in events:
        sent: object = json.loads(event)
        query = {"qualifier": qualifier} if qualifier else {}
        told = await client.change("POST", f"/v1/functions/{name}/invocations", sent, query)
        outcome, log = told.get("outcome"), told.get("log")
        for line in log if isinstance(log, list) else []:
            print(for_terminal(str(line)), file=sys.stderr)
        print_notes(told)
        failed += not (isinstance(outcome, dict) and "result" in outcome)
        print(json.dumps(told if given.json else outcome), flush=True)
    if len(events) > 1:
        print(f"edgefn: {len(events)} events, {failed} failed", file=sys.stderr)
    return FAILED if failed else DONE


async def _runtime(client: ControlClient, name: str, qualifier: str) -> str:
    told = await client.get(f"/v1/functions/{name}/versions/{qualifier}")
    settings = told.get("settings")
    return str(settings.get("runtime")) if isinstance(settings, dict) else ""
