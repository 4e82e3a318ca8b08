"""What `edgefn invoke` is given: the function and its limits, and the events. All is judged before anything runs."""

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from edgefn.cli.reading import read_bytes
from edgefn.cli.samples import SAMPLES
from edgefn.configuration.functions import (
    MAX_ENVIRONMENT,
    MAX_TIMEOUT,
    READERS,
    RESERVED,
    default_handler,
    flaw_of_layers,
    is_source_file,
    runtime_flaw,
)
from edgefn.configuration.kinds import MEGABYTE
from edgefn.configuration.quantities import parse_duration, parse_size
from edgefn.functions.bundle import BundleError
from edgefn.functions.kvs_file import StoreError, read_content
from edgefn.functions.layers import read_with_layers
from edgefn.model.errors import SettingsError
from edgefn.model.settings import CLOUDFRONT_JS, FunctionSettings

_LEAST_MEMORY, _MOST_MEMORY = 128, 10_240
_PLACE = {"name": "FRA", "serverIp": "127.0.0.1", "region": "eu-central-1"}


def seconds(text: str) -> float:
    """Return a time limit. Raises `ArgumentTypeError`."""
    value = parse_duration(f"{text}s" if re.fullmatch(r"[0-9.]+", text) else text)
    if value is None or not 0.001 <= value <= MAX_TIMEOUT:
        told = f"{text!r} is no time limit; write seconds, 0.001 to {MAX_TIMEOUT}, or one such as 250ms"
        raise argparse.ArgumentTypeError(told)
    return value


def megabytes(text: str) -> int:
    """Return a memory limit. Raises `ArgumentTypeError`."""
    value, rest = divmod(parse_size(f"{text}MB" if text.isdecimal() else text) or 0, MEGABYTE)
    if rest or not _LEAST_MEMORY <= value <= _MOST_MEMORY:
        raise argparse.ArgumentTypeError(f"{text!r} is no memory size; write MB, {_LEAST_MEMORY} to {_MOST_MEMORY}")
    return value


def read_function(given: argparse.Namespace) -> FunctionSettings:
    """Return the function that the arguments describe. Raises `SettingsError` with all that is wrong with them."""
    path = os.path.abspath(given.path)
    problems = [*_path_problems(given.path, given.layer), *_environment_problems(given.env)]
    flaw = runtime_flaw(given.runtime)
    if flaw is not None:
        problems.append(f"--runtime: {flaw}")
    layers_flaw = flaw_of_layers(given.runtime) if given.layer and flaw is None else None
    if layers_flaw is not None:
        problems.append(f"--layer: {layers_flaw}")
    problems += _store_problems(given.kvs, given.runtime)
    if problems:
        raise SettingsError(tuple(problems))
    return FunctionSettings(
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", Path(path).stem)[:64] or "function",
        path=path,
        runtime=given.runtime,
        handler=given.handler or default_handler(given.runtime, path),
        timeout=given.timeout,
        memory=given.memory,
        environment=dict(pair.split("=", 1) for pair in given.env),
        kvs=os.path.abspath(given.kvs) if given.kvs else "",
        layers=tuple(os.path.abspath(layer) for layer in given.layer),
    )


def _path_problems(path: str, layers: list[str]) -> Iterator[str]:
    if os.path.isfile(path) and not is_source_file(path):
        yield f"{path}: is no function; write a directory, a .zip, or a .js, .mjs, .cjs or .py file"
        return
    try:
        read_with_layers(path, layers)
    except BundleError as error:
        told = str(error)
        yield told if told.startswith(path) else f"{path}: {told}"


def _environment_problems(pairs: list[str]) -> Iterator[str]:
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            yield f"--env {pair}: has no =; write NAME=VALUE"
        elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            yield f"--env {pair}: {name!r} is no name; write a letter, then letters, digits and underscores"
        elif name in RESERVED:
            yield f"--env {pair}: {name} is set by the runtime; take another name"
        elif not _is_text(value):
            yield f"--env {name}: its value is not UTF-8 text"
    size = sum(len(pair) - 1 for pair in pairs)
    if size > MAX_ENVIRONMENT:
        yield f"--env: {size} bytes of names and values in all; write at most {MAX_ENVIRONMENT}"


def _store_problems(store: str | None, runtime: str) -> Iterator[str]:
    if store is None:
        return
    if runtime not in READERS:
        yield f"--kvs: runtime {runtime} can't read key-value stores; {' and '.join(READERS)} can"
    try:
        read_content(Path(store))
    except StoreError as error:
        yield f"--kvs: {error}"


def _is_text(value: str) -> bool:
    try:
        return bool(value.encode("utf-8")) or not value
    except UnicodeEncodeError:
        return False


def read_events(given: argparse.Namespace) -> list[bytes]:
    """Return the events that the arguments name. Raises `SettingsError`, and then none is run."""
    if given.sample:
        return [_placed(sample_event(given.sample, given.runtime), given.runtime)]
    if given.event:
        return [_placed(_event(_text(given.event).rstrip(), _named(given.event)), given.runtime)]
    lines = _text(given.events).split("\n")
    where = _named(given.events)
    events = [
        _placed(_event(line.rstrip(), f"{where}:{number}", is_line=True), given.runtime)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not events:
        raise SettingsError((f"{where}: has no events; write one as JSON per line",))
    return events


def sample_event(sample: str, runtime: str) -> bytes:
    """Return the sample as functions of this runtime get it."""
    as_function = f"cloudfront-{sample}"  # these functions have events of their own
    is_own = runtime.startswith(CLOUDFRONT_JS) and as_function in SAMPLES
    return SAMPLES[as_function if is_own else sample].event()


def _placed(event: bytes, runtime: str) -> bytes:
    """Return the event with a place, which CloudFront Functions know as `cf.edgeLocation`."""
    document: object = json.loads(event) if runtime.startswith(CLOUDFRONT_JS) else None
    if not isinstance(document, dict) or "edge" in document:
        return event
    return json.dumps({**document, "edge": {"location": _PLACE}}).encode()


def _named(file: str) -> str:
    return "standard input" if file == "-" else file


def _text(file: str) -> str:
    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError((f"{_named(file)}: is not UTF-8 text: {error.reason} at byte {error.start}",)) from error


def _event(text: str, where: str, *, is_line: bool = False) -> bytes:
    try:
        json.loads(text, parse_constant=_no_json)
    except RecursionError as error:
        raise SettingsError((f"{where}: is nested too deeply",)) from error
    except json.JSONDecodeError as error:
        place = f"{where}:{error.colno}" if is_line else f"{where}:{error.lineno}:{error.colno}"
        raise SettingsError((f"{place}: is not JSON: {error.msg}",)) from error
    except ValueError as error:
        raise SettingsError((f"{where}: is not JSON: {error}",)) from error
    return text.encode()


def _no_json(word: str) -> object:
    raise ValueError(f"{word} is no JSON value")
