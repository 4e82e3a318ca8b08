"""The environment variables that a function sees (AWS: Lambda, defined runtime environment variables). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgefn.sandbox.base import Code
from edgefn.sandbox.process.interpreters import declared
from edgefn.sandbox.process.launch import Language

REGION = "us-east-1"
"""Where every Lambda@Edge function is at home; AWS names its replicas' logs after it."""

_RUNTIME_DIR = "/var/runtime"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where AWS would keep a worker's log: `/aws/lambda/<function>` and a stream per worker."""

    group: str
    stream: str


def log_place(code: Code, date: str, token: str) -> LogPlace:
    """Return the log group and stream of one worker; `date` as YYYY/MM/DD, `token` 32 hexadecimal digits."""
    return LogPlace(f"/aws/lambda/{code.function}", f"{date}/[{code.version}]{token}")


def interpreter_environment() -> dict[str, str]:
    """Return what a worker is started with, before it has a function: nothing of ours, nothing of the function's."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": ":UTC", "HOME": "/tmp"}  # noqa: S108  # inside the sandbox


def function_environment(code: Code, place: LogPlace, *, provisioned: bool) -> dict[str, str]:
    """Return everything that the function finds in its environment; reserved names win over its own."""
    return {**_defaults(code.runtime), **code.environment, **_reserved(code, place, provisioned)}


def _defaults(runtime: str) -> dict[str, str]:
    """Return the variables that a function may override."""
    shared = {
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LD_LIBRARY_PATH": "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    asked = declared(runtime)
    if asked is None or asked.language is not Language.NODE:
        return shared
    version = asked.version[0]
    modules = f"/opt/nodejs/node{version}/node_modules:/opt/nodejs/node_modules:{_RUNTIME_DIR}/node_modules"
    return {**shared, "NODE_PATH": modules}


def _reserved(code: Code, place: LogPlace, provisioned: bool) -> Mapping[str, str]:  # noqa: FBT001  # one caller, above
    return {
        "_HANDLER": code.handler,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{code.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": code.function,
        "AWS_LAMBDA_FUNCTION_VERSION": code.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(code.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency" if provisioned else "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": place.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.stream,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": _RUNTIME_DIR,
    }
