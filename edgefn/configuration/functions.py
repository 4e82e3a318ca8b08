"""`functions`: the code that runs at the hooks, and its limits."""

import posixpath
import re
from typing import Final

from edgefn.configuration.kinds import MEGABYTE, AddressText, Duration, FilePath, Judged, Size, Text, Whole
from edgefn.configuration.reading import Declared, Field, Section, Values, did_you_mean
from edgefn.configuration.shapes import ListOf, MapOf
from edgefn.model.settings import FunctionSettings

NAME: Final = r"[A-Za-z0-9_-]{1,64}"
NAMING: Final = "a name of at most 64 letters, digits, dashes and underscores"
MAX_TIMEOUT: Final = 900
MAX_ENVIRONMENT: Final = 4096

RUNTIMES: Final = (
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "python3.8",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "wasm",
    "js",
    "cloudfront-js-1.0",
    "cloudfront-js-2.0",
)

READERS: Final = ("cloudfront-js-2.0", "wasm")
"""The runtimes that have a way to read a key-value store."""

RESERVED: Final = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    }
)
"""Environment variables that the runtime sets itself (AWS: reserved environment variables)."""


PROCESS_RUNTIMES: Final = tuple(name for name in RUNTIMES if name.startswith(("nodejs", "python")))
"""Those that an interpreter of this machine runs."""


def runtime_flaw(text: str) -> str | None:
    """Return what is wrong with a runtime, or None."""
    if text in RUNTIMES:
        return None
    return f'the runtime "{text}" is not known; {did_you_mean(text, RUNTIMES)}'


def flaw_of_layers(runtime: str) -> str | None:
    """Return what is wrong with layers for a runtime, or None."""
    return None if runtime in PROCESS_RUNTIMES else f"runtime {runtime} has no /opt for layers; take them out"


class _Fields:
    path = Field("path", FilePath("a path of a directory, a zip or one source file"), "The code.", required=True)
    runtime = Field(
        "runtime", Judged(f"one of {', '.join(RUNTIMES)}", runtime_flaw, RUNTIMES), "What runs it.", required=True
    )
    handler = Field(
        "handler",
        Text("file.function, such as index.handler", r"(?!/)(?!(?:.*/)?\.\.?/)[A-Za-z0-9_./-]+\.[A-Za-z_$][\w$]*"),
        "The file, without its ending, and the function in it. Default: what AWS's console would name, such as "
        "index.handler or lambda_function.lambda_handler; for one source file, the one in it.",
    )
    timeout = Field(
        "timeout", Duration(0.001, MAX_TIMEOUT), "Wall time for one invocation; the hook's own limit holds too.", "5s"
    )
    memory = Field("memory", Size(128 * MEGABYTE, 10_240 * MEGABYTE, unit=MEGABYTE), "Memory for one sandbox.", "128MB")
    environment = Field(
        "environment",
        MapOf(Text("the variable's value", r"[^\x00]*", is_secret=True), r"[A-Za-z][A-Za-z0-9_]+", "a variable's name"),
        "Environment variables, in all at most 4 KB.",
    )
    concurrency = Field("concurrency", Whole(1, 1000), "Invocations at one time; more are refused with 503.", "100")
    provisioned = Field("provisioned", Whole(0, 1000), "Sandboxes to start ahead.", "0")
    idle_timeout = Field("idle_timeout", Duration(1, 86_400), "After how long an idle sandbox ends.", "5m")
    network = Field(
        "network",
        ListOf(AddressText("host:port, such as api.example.com:443")),
        "The hosts that it may connect to. Default: none.",
    )
    kvs = Field(
        "kvs",
        Text("a name of one of the stores in `kvs`", NAME),
        f"The key-value store that it reads; for {' and '.join(READERS)}. Default: none.",
    )
    layers = Field(
        "layers",
        ListOf(FilePath("a path of a directory or a zip"), most=5),
        "Files that functions share, seen by this one in /opt, the later ones over the earlier ones; for Node.js and "
        "Python. Default: none.",
    )


def _build(values: Values) -> FunctionSettings:
    environment = values.get(_Fields.environment) or {}
    network = values.get(_Fields.network) or ()
    _check_environment(values, environment)
    if values[_Fields.provisioned] > values[_Fields.concurrency]:
        values.wrong(_Fields.provisioned, "is more than concurrency; write at most as much")
    for host in network:
        if host.endswith(":25"):
            values.wrong(_Fields.network, f'"{host}" is a mail port, which stays closed to functions; take it out')
    layers = values.get(_Fields.layers) or ()
    layers_flaw = None if not layers else flaw_of_layers(values[_Fields.runtime])
    if layers_flaw is not None:
        values.wrong(_Fields.layers, layers_flaw)
    store = values.get(_Fields.kvs) or ""
    if store:
        _check_store(values, store)
    return FunctionSettings(
        name="",
        path=values[_Fields.path],
        runtime=values[_Fields.runtime],
        handler=values.get(_Fields.handler) or default_handler(values[_Fields.runtime], values[_Fields.path]),
        timeout=values[_Fields.timeout],
        memory=values[_Fields.memory],
        environment=environment,
        concurrency=values[_Fields.concurrency],
        provisioned=values[_Fields.provisioned],
        idle_timeout=values[_Fields.idle_timeout],
        network=network,
        kvs=store,
        layers=layers,
    )


def _check_store(values: Values, store: str) -> None:
    runtime = values[_Fields.runtime]
    if runtime not in READERS:
        values.wrong(_Fields.kvs, f"runtime {runtime} can't read key-value stores; take it out, or take {READERS[0]}")

    def is_declared(declared: Declared) -> None:
        if store not in declared.stores:
            values.wrong(_Fields.kvs, f'there is no store "{store}"; {did_you_mean(store, declared.stores)}')

    values.later(is_declared)


def _check_environment(values: Values, environment: dict[str, str]) -> None:
    """Report variables that the runtime sets itself, and more than 4 KB of them (AWS: environment variables)."""
    for name in sorted(RESERVED.intersection(environment)):
        values.wrong(_Fields.environment, f'"{name}" is set by the runtime; take another name')
    size = sum(len(name) + len(value.encode()) for name, value in environment.items())
    if size > MAX_ENVIRONMENT:
        values.wrong(_Fields.environment, f"is {size} bytes of names and values; write at most {MAX_ENVIRONMENT}")


FUNCTION: Final = Section("functions.NAME", _Fields, _build)


def is_source_file(path: str) -> bool:
    """Return whether `path` is one source file or an archive, and no directory, by its ending."""
    return re.search(r"\.(?:js|mjs|cjs|py|wasm|zip)$", path) is not None


def default_handler(runtime: str, path: str) -> str:
    """Return the handler that AWS's console would name, or the one in the only file there is."""
    python = runtime.startswith("python")
    name = "lambda_handler" if python else "handler"
    if is_source_file(path) and not path.endswith(".zip"):
        return f"{posixpath.splitext(posixpath.basename(path))[0]}.{name}"
    return f"lambda_function.{name}" if python else f"index.{name}"
