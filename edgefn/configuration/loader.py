"""Text -> `Settings`. Pure: which files there are is asked through a probe, in `verify`."""

import json
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from edgefn.configuration.document import NO_LINE, NestingError, Node, node_of, parse
from edgefn.configuration.functions import PROCESS_RUNTIMES, is_source_file
from edgefn.configuration.location import LOCATION, build, check, declared
from edgefn.configuration.reading import Reading, WrongError
from edgefn.configuration.sharing import as_whole, with_shared
from edgefn.model.errors import SettingsError
from edgefn.model.origin import PEM_BEGIN
from edgefn.model.settings import FunctionSettings, Settings
from edgefn.rules.quotas import quotas


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The functions that are declared in other files than the one that is read; None where they are not known."""

    functions: Collection[str] | None = None


def load(text: str, *, filename: str, base: str, shared: Mapping[str, object] | None = None) -> Settings:
    """Return the settings in `text`; relative paths in it are seen from the directory `base`.

    A published configuration, `shared`, takes the place of what the file says of the same.
    Raises `SettingsError` with all problems, in the order of the lines, each as
    `filename:line: key.path: what is wrong; what would be right`.
    """
    document = parse(text, filename)
    reading = Reading(base)
    return _settings(document if shared is None else with_shared(document, shared), reading, filename)


def load_shared(text: str, *, filename: str) -> Settings:
    """Return the settings of a file that has nothing but what locations share. Raises `SettingsError` as `load`."""
    reading = Reading("/")
    return _settings(as_whole(parse(text, filename), reading), reading, filename, Elsewhere())


def judge(shared: Mapping[str, object], functions: Collection[str] | None = None) -> Settings:
    """Return the settings in a configuration to be published. Raises `SettingsError`, in which no line is named.

    `functions` are those that locations have in their own files, None where that is not known.
    """
    reading = Reading("/")
    try:
        document = node_of(shared)
    except NestingError as error:
        raise SettingsError((str(error),)) from error
    return _settings(as_whole(document, reading), reading, "", Elsewhere(functions))


def _settings(document: Node, reading: Reading, filename: str, elsewhere: Elsewhere | None = None) -> Settings:
    try:
        values = LOCATION.values(document, "", reading)
    except WrongError as error:
        raise SettingsError((f"{filename}:{error.line}: the file {error.what}",)) from error
    facts = declared(values)
    if elsewhere is not None:
        names = elsewhere.functions
        facts = replace(facts, function_names=None if names is None else tuple(names))
    for late_check in reading.checks:
        late_check(facts)
    check(values)
    if reading.problems:
        in_order = sorted(dict.fromkeys(reading.problems), key=lambda problem: problem[0])
        raise SettingsError(tuple(_told(filename, line, what) for line, what in in_order))
    return build(values)


def _told(filename: str, line: int, what: str) -> str:
    """Return a problem with its place. What was published stands in no line."""
    if line != NO_LINE:
        return f"{filename}:{line}: {what}"
    return f"{filename}: published configuration: {what}" if filename else what


def schema() -> str:
    """Return the JSON Schema (2020-12) of the configuration, as indented JSON text."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgefn configuration",
        "description": "One location of edgefn.",
    }
    brought = {"anyOf": [{"required": ["origins", "routes"]}, {"required": ["site"]}]}
    return json.dumps({**head, **LOCATION.schema(), **brought}, indent=2) + "\n"


def verify(settings: Settings, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """Return a problem, which begins with its key, for each file that `settings` names and that does not exist."""
    return tuple(
        f"{key}: there is no file {path}; write the path of one" for key, path in _files(settings) if not exists(path)
    ) + tuple(
        f"functions.{function.name}.handler: {function.path} {'is' if is_source_file(function.path) else 'has'} no "
        f"{' or '.join(handler_files(function))}; write the file that is there"
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
        if origin.tls_ca is not None and not origin.tls_ca.startswith(PEM_BEGIN):
            yield f"origins.{origin.id}.tls.ca", origin.tls_ca
    for function in settings.functions.values():
        yield f"functions.{function.name}.path", function.path
        for index, layer in enumerate(function.layers):
            yield f"functions.{function.name}.layers[{index}]", layer
    for name, path in settings.kvs.items():
        yield f"kvs.{name}", path
    if settings.geo_database:
        yield "geo_database", settings.geo_database


def handler_files(function: FunctionSettings) -> list[str]:
    """Return the files of a bundle in which the handler may be: `a.b.c` is c of a/b in Python, b.c of a in Node.js."""
    if function.runtime.startswith("python"):
        module = function.handler.rpartition(".")[0].replace(".", "/")
        return [f"{module}.py", f"{module}/__init__.py"]
    folder, name = posixpath.split(function.handler)
    module = posixpath.join(folder, name.partition(".")[0])
    return [f"{module}{ending}" for ending in (".js", ".mjs", ".cjs")]


def _has_handler(function: FunctionSettings, exists: Callable[[str], bool]) -> bool:
    if function.runtime == "wasm":
        return True
    if is_source_file(function.path):
        only = posixpath.basename(function.path)
        return function.runtime not in PROCESS_RUNTIMES or only.endswith(".zip") or only in handler_files(function)
    return any(exists(posixpath.join(function.path, name)) for name in handler_files(function))
