"""From a planned catalog to the records that it takes."""

from collections.abc import Iterator

from edgefn.functions import configurations, documents
from edgefn.functions.documents import Json
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Catalog, Configuration, Manifest, PublishedFunction


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
        old_site, new_site = before.configurations.get(site), after.configurations.get(site)
        if old_site != new_site:
            blank_site = Configuration(site)
            yield from _configuration_changes(old_site or blank_site, new_site or blank_site, keys)
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


def _configuration_changes(
    before: Configuration, after: Configuration, keys: Keys
) -> Iterator[tuple[str, Json | None]]:
    sealing = keys.sealing[0] if keys.sealing else None
    for number in sorted({*before.revisions, *after.revisions}):
        revision = after.revisions.get(number)
        if revision != before.revisions.get(number):
            document = None if revision is None else configurations.revision_to_document(after.site, revision, sealing)
            yield f"config.{after.site}.{number}", document
    if (before.current, before.last) != (after.current, after.last):
        yield f"config.{after.site}", configurations.pointer_to_document(after) if after.last else None
