"""How a command finds its control plane, and what its exit status says. One way for all commands.

1. `--config CONFIG`: the location that runs with this file, by its `admin` address and the token in its data directory.
2. `--control URL` or EDGEFN_CONTROL, with `--token-file FILE` or EDGEFN_TOKEN; at https:// with `--ca-file FILE` or
   EDGEFN_CA_FILE where the system does not know who signed the certificate.
3. ./edgefn.yaml, as if it were given by `--config`.
"""

import argparse
import asyncio
import os
import re
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edgefn.cli.reading import read_settings
from edgefn.control.client import ControlClient, ControlError, is_in_clear
from edgefn.control.credentials import read_token, token_path
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.rules.log_line import for_terminal

DONE: Final = 0
FAILED: Final = 1
PARTIAL: Final = 3
"""Some locations have it and some have not, or the wait was over before all answered."""

_DEFAULT: Final = "edgefn.yaml"

STATUSES: Final = "Exit status 0: done; 1: failed; 2: unusable arguments."


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the control plane is."""
    group = parser.add_argument_group("where the control plane is (default: what ./edgefn.yaml says)")
    group.add_argument("--config", metavar="CONFIG", help="the configuration file of the location to talk to")
    group.add_argument("--control", metavar="URL", help="the control API (default: EDGEFN_CONTROL)")
    group.add_argument("--token-file", metavar="FILE", help="the token for --control (default: EDGEFN_TOKEN)")
    add_tls(group)
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")


def add_tls(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the arguments that say whom to trust at https://, and that http:// is meant."""
    parser.add_argument(
        "--ca-file", metavar="FILE", help="who signed the certificate of --control, in PEM (default: EDGEFN_CA_FILE)"
    )
    parser.add_argument(
        "--insecure-http", action="store_true", help="send tokens and keys in clear over a network that you trust"
    )


def client_for(given: argparse.Namespace) -> ControlClient:
    """Return the client for the control plane that the arguments name. Raises `SettingsError`."""
    url = given.control or ("" if given.config else os.environ.get("EDGEFN_CONTROL", ""))
    if given.config and given.control:
        raise SettingsError(("--config and --control name two control planes; give one of them",))
    if url:
        return ControlClient(checked_url(url, given), _token(given.token_file), ca_text(given))
    if given.token_file:
        raise SettingsError(("--token-file goes with --control URL",))
    config = given.config or _DEFAULT
    if not given.config and not Path(_DEFAULT).exists():
        raise SettingsError(
            ("which control plane? there is no ./edgefn.yaml; give --config CONFIG, or --control URL with a token",)
        )
    return client_of(read_settings(config))


def client_of(settings: Settings) -> ControlClient:
    """Return the client for the location that runs with `settings`. Raises `SettingsError`, `ControlError`."""
    if settings.admin is None:
        raise ControlError("the configuration has `admin: off`; give it an address, such as 127.0.0.1:8081")
    try:
        token = read_token(settings.data_dir)
    except OSError as error:
        where = token_path(settings.data_dir)
        raise ControlError(f"{where}: {error.strerror}; is a location running with this data_dir?") from error
    host, port = settings.admin
    return ControlClient(f"http://{f'[{host}]' if ':' in host else host}:{port}", token)


def checked_url(url: str, given: argparse.Namespace) -> str:
    """Return the URL of a control API. Raises `SettingsError` for one that is none, or would tell secrets in clear."""
    if not _is_base(url):
        raise SettingsError((f"--control: {url!r} is no URL of a control API; write http://127.0.0.1:8081",))
    if is_in_clear(url) and not given.insecure_http:
        told = "the token, and a location's keys, would go over the network in clear"
        cure = "give the control plane a certificate (`tls` in its configuration) and write https://"
        raise SettingsError((f"--control: {url}: {told}; {cure}; where you trust the network, say --insecure-http",))
    return url


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_plain = parts.port != 0 and not parts.path.strip("/") and not parts.query
    except ValueError:  # a port, or an address in brackets, that is none
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain


def ca_text(given: argparse.Namespace) -> str:
    """Return who must have signed the control API's certificate (PEM), "" for whoever the system trusts.

    Raises `SettingsError`.
    """
    file = given.ca_file or os.environ.get("EDGEFN_CA_FILE", "")
    try:
        text = Path(file).read_text(encoding="ascii") if file else ""
        if text:
            ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        is_read = isinstance(error, ssl.SSLError | ValueError)
        why = "holds no certificates in PEM" if is_read else getattr(error, "strerror", "")
        raise SettingsError(
            (f"--ca-file: {file}: {why}; name the certificate of who signed that of --control",)
        ) from error
    return text


def _token(file: str | None) -> str:
    if file is None:
        token = os.environ.get("EDGEFN_TOKEN", "").strip()
        if not token:
            raise SettingsError(("--control needs a token; give --token-file FILE, or set EDGEFN_TOKEN",))
        return token
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not ASCII text"
        raise SettingsError((f"--token-file: {file}: {why}",)) from error
    if not re.fullmatch(r"[!-~]{1,1000}", token):
        why = "is empty" if not token else "holds no token: one word in one line"
        raise SettingsError((f"--token-file: {file}: {why}; it is what `edgefn token new` prints, or admin.token",))
    return token


def run_with(given: argparse.Namespace, command: str, work: Callable[[ControlClient], Awaitable[int]]) -> int:
    """Run `work` with the client; return its exit status, or 1 after saying why it failed."""
    try:
        client = client_for(given)

        async def worked() -> int:
            return await work(client)

        return asyncio.run(worked())
    except ControlError as error:
        print(f"edgefn {command}: {for_terminal(str(error))}", file=sys.stderr)
        return FAILED
