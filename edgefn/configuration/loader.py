"""Text -> `Settings`. Pure: which files there are is asked through a probe, in `verify`."""

import json
import posixpath
from collections.abc import Callable, Iterator

from edgefn.configuration.document import parse
from edgefn.configuration.functions import is_source_file
from edgefn.configuration.location import LOCATION, build, check, declared
from edgefn.configuration.reading import Reading, WrongError
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionSettings, Settings
from edgefn.rules.quotas import quotas


def load(text: str, *, filename: str, base: str) -> Settings:
    """Return the settings in `text`; relative paths in it are seen from the directory `base`.

    Raises `SettingsError` with all problems, in the order of the lines, each as
    `filename:line: key.path: what is wrong; what would be right`.
    """
    document = parse(text, filename)
    reading = Reading(base)
    try:
        values = LOCATION.values(document, "", reading)
    except WrongError as error:
        raise SettingsError((f"{filename}:{error.line}: the file {error.what}",)) from error
    facts = declared(values)
    for late_check in reading.checks:
        late_check(facts)
    check(values)
    if reading.problems:
        in_order = sorted(dict.fromkeys(reading.problems), key=lambda problem: problem[0])
        raise SettingsError(tuple(f"{filename}:{line}: {what}" for line, what in in_order))
    return build(values)


def schema() -> str:
    """Return the JSON Schema (2020-12) of the configuration, as indented JSON text."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgefn configuration",
        "description": "One location of edgefn.",
    }
    return json.dumps({**head, **LOCATION.schema()}, indent=2) + "\n"


def verify(settings: Settings, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """Return a problem for each file that `settings` names and that does not exist."""
    return tuple(
        f"{key}: there is no file {path}; write the path of one" for key, path in _files(settings) if not exists(path)
    ) + tuple(
        f"functions.{function.name}.handler: {function.path} has no {' or '.join(_handler_files(function))}; "
        "write the file that is there"
        for function in settings.functions.values()
        if exists(function.path) and not _has_handler(function, exists)
    )


def oversized(settings: Settings, size_of: Callable[[str], int]) -> tuple[str, ...]:
    """Return a problem for each zip that is too large for a hook it stands at (AWS: quotas on Lambda@Edge).

    `size_of` tells the bytes of a file.
    """
    problems: list[str] = []
    for route in settings.routes:
        for event, hook in route.hooks.items():
            if hook.qualifier:
                continue  # published: it was measured then
            path, most = settings.functions[hook.function].path, quotas(settings.quotas, event).zip_size
            if path.endswith(".zip") and size_of(path) > most:
                problems.append(
                    f"functions.{hook.function}.path: {path} is larger than {most >> 20} MB, the most at {event}"
                )
    return tuple(dict.fromkeys(problems))


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    for index, listen in enumerate(settings.listen):
        for certificate in listen.certificates:
            yield f"listen[{index}].certificates", certificate.certificate
            yield f"listen[{index}].certificates", certificate.key
    for origin in settings.origins.values():
        if origin.tls_ca is not None:
            yield f"origins.{origin.id}.tls.ca", origin.tls_ca
    for function in settings.functions.values():
        yield f"functions.{function.name}.path", function.path
        for index, layer in enumerate(function.layers):
            yield f"functions.{function.name}.layers[{index}]", layer
    for name, path in settings.kvs.items():
        yield f"kvs.{name}", path
    if settings.geo_database:
        yield "geo_database", settings.geo_database


def _handler_files(function: FunctionSettings) -> list[str]:
    """Return the files of a bundle in which the handler may be: `a.b.c` is c of a/b in Python, b.c of a in Node.js."""
    if function.runtime.startswith("python"):
        module = function.handler.rpartition(".")[0].replace(".", "/")
        return [f"{module}.py", f"{module}/__init__.py"]
    folder, name = posixpath.split(function.handler)
    module = posixpath.join(folder, name.partition(".")[0])
    return [f"{module}{ending}" for ending in (".js", ".mjs", ".cjs")]


def _has_handler(function: FunctionSettings, exists: Callable[[str], bool]) -> bool:
    if is_source_file(function.path) or function.runtime == "wasm":
        return True
    return any(exists(posixpath.join(function.path, name)) for name in _handler_files(function))
