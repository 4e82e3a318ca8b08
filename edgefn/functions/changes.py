"""From a planned catalog to the records that it takes."""

from collections.abc import Iterator

from edgefn.functions import documents
from edgefn.functions.documents import Json
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Catalog, Manifest, PublishedFunction


def changes(before: Catalog, after: Catalog, keys: Keys) -> Iterator[tuple[str, Json | None]]:
    """Yield the document of each subject that differs: None where it goes. Sealed where `keys` can."""
    for name in sorted({*before.functions, *before.retired, *after.functions, *after.retired}):
        old, new = before.functions.get(name), after.functions.get(name)
        if old is not new or before.retired.get(name) != after.retired.get(name):
            blank = PublishedFunction(name)
            yield from _function_changes(old or blank, new or blank, keys)
            was, will = _about(before, name, keys), _about(after, name, keys)
            if was != will:
                yield f"fn.{name}", will
    for site in sorted({*before.configurations, *after.configurations}):
        text = after.configurations.get(site)
        if text != before.configurations.get(site):
            yield f"config.{site}", None if text is None else {"text": text}
    if before.garbage != after.garbage:
        yield "garbage", documents.garbage_to_document(after.garbage)


def _about(catalog: Catalog, name: str, keys: Keys) -> Json | None:
    function = catalog.functions.get(name)
    if function is not None:
        draft = None if function.draft is None else _manifest(function.draft, keys)
        return {"draft": draft, "last_version": function.last_version, "deleted": False}
    last = catalog.retired.get(name)
    return None if last is None else {"draft": None, "last_version": last, "deleted": True}


def _function_changes(
    before: PublishedFunction, after: PublishedFunction, keys: Keys
) -> Iterator[tuple[str, Json | None]]:
    for number in sorted({*before.versions, *after.versions}):
        manifest = after.versions.get(number)
        if manifest != before.versions.get(number):
            yield f"ver.{after.name}.{number}", None if manifest is None else _manifest(manifest, keys)
    for name in sorted({*before.aliases, *after.aliases}):
        alias = after.aliases.get(name)
        if alias != before.aliases.get(name):
            yield f"alias.{after.name}.{name}", None if alias is None else documents.alias_to_document(alias)


def _manifest(manifest: Manifest, keys: Keys) -> Json:
    return documents.manifest_to_document(manifest, keys.sealing[0] if keys.sealing else None)
