"""What `edgefn invoke` says beside results: what CloudFront would refuse, and where a missing handler may be."""

import posixpath

from edgefn.configuration.functions import PROCESS_RUNTIMES
from edgefn.configuration.loader import handler_files
from edgefn.functions.layers import read_with_layers
from edgefn.model.settings import CLOUDFRONT_JS, FunctionSettings
from edgefn.rules.event_reading import refused
from edgefn.sandbox.base import Failed, Outcome, Returned

_SHOWN = 5
"""Names of files that are told at most."""


def on_result(function: FunctionSettings, event: bytes, outcome: Outcome) -> str:
    """Return what CloudFront would refuse in a result, which is none of the function's failures here; else ""."""
    if not isinstance(outcome, Returned) or function.runtime.startswith(CLOUDFRONT_JS):
        return ""
    violation = refused(event, outcome.result)
    if violation is None:
        return ""
    return f"CloudFront would answer 502 (LambdaValidationError) to this: {violation.field}: {violation.rule}"


def on_handler(function: FunctionSettings, outcome: Outcome) -> str:
    """Return where the handler may be, when its file is not in the bundle; else ""."""
    if not isinstance(outcome, Failed) or outcome.type != "Runtime.ImportModuleError":
        return ""
    if function.runtime not in PROCESS_RUNTIMES:
        return ""
    wanted = handler_files(function)
    files = [file.path for file in read_with_layers(function.path, function.layers).files]
    if not set(files).isdisjoint(wanted):
        return ""
    told = f"the bundle has no {' or '.join(wanted)}"
    for deeper in sorted(files, key=lambda name: name.count("/")):
        if any(deeper.endswith(f"/{name}") for name in wanted):
            return f"{told}, but {deeper}: write --handler {posixpath.dirname(deeper)}/{function.handler}"
    shown = [name for name in files if not name.startswith("node_modules/")][:_SHOWN]
    return f"{told}; it has {', '.join(shown)}{' ...' if len(shown) < len(files) else ''}"
