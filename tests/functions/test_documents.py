"""What is published as documents: all settings in the words of the configuration, and nothing that may not be there."""

from dataclasses import fields

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.configuration.functions import FUNCTION
from edgefn.functions.documents import (
    NOT_PUBLISHED,
    DocumentError,
    alias_from_document,
    manifest_from_document,
    manifest_to_document,
    settings_from_document,
    settings_to_document,
)
from edgefn.functions.sealing import SealingKey
from edgefn.model.location_status import status_from_json, status_to_json
from edgefn.model.publishing import FailedVersion, LocationState, LocationStatus
from edgefn.model.settings import FunctionSettings
from tests.fakes.published import draft, settings

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
every_setting = st.builds(
    FunctionSettings,
    name=st.just("hello"),
    path=st.just(""),
    runtime=st.sampled_from(["nodejs20.x", "python3.12", "wasm"]),
    handler=st.sampled_from(["index.handler", "lib/a.b_c"]),
    timeout=st.integers(1, 900_000).map(lambda ms: ms / 1000),
    memory=st.integers(128, 10_240),
    environment=st.dictionaries(st.from_regex(r"[B-Z][A-Z0-9_]{1,5}", fullmatch=True), words, max_size=5),
    concurrency=st.integers(1, 1000),
    provisioned=st.just(0),
    idle_timeout=st.integers(1, 86_400).map(float),
    network=st.lists(st.sampled_from(["api.example.com:443", "10.0.0.1:80"]), max_size=2).map(tuple),
)


@given(every_setting)
def test_settings_come_back_as_they_were(given_settings: FunctionSettings) -> None:
    document = orjson.loads(orjson.dumps(settings_to_document(given_settings)))
    assert settings_from_document("hello", document) == given_settings


def test_every_setting_of_a_function_is_published_but_for_where_its_files_come_from() -> None:
    published = {field.key for field in FUNCTION.fields} - NOT_PUBLISHED
    assert published == {field.name for field in fields(FunctionSettings)} - NOT_PUBLISHED - {"name"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "runtime: is missing"),
        ({"runtime": "nodejs"}, 'the runtime "nodejs" is not known'),
        ({"runtime": "wasm", "timeout": "soon"}, '"soon" is not a duration'),
        ({"runtime": "wasm", "memory": "1MB"}, '"1MB" does not fit'),
        ({"runtime": "wasm", "momory": "128MB"}, "did you mean memory"),
        ({"runtime": "wasm", "environment": {"AWS_REGION": "x"}}, "set by the runtime"),
        ({"runtime": "wasm", "environment": {"BIG": "x" * 5000}}, "at most 4096"),
        ({"runtime": "wasm", "path": "/etc"}, "path: means nothing here"),
        ({"runtime": ["wasm"]}, "can't be a list"),
        ({"runtime": "wasm", "environment": {"KEY": "secret\0"}}, "environment.KEY: what stands here does not fit"),
        ({"runtime": "wasm", "environment": orjson.loads(b"[" * 1000 + b"]" * 1000)}, "nested more than"),
    ],
)
def test_settings_that_the_configuration_would_refuse_are_refused(document: dict[str, object], told: str) -> None:
    with pytest.raises(DocumentError) as caught:
        settings_from_document("hello", document)
    assert told in str(caught.value)


def test_a_sealed_environment_opens_with_its_key_and_for_its_function_only() -> None:
    key = SealingKey(bytes(32))
    manifest = draft(environment={"TOKEN": "secret"})
    document = manifest_to_document(manifest, key)
    assert "secret" not in str(document)
    assert manifest_from_document(document, (SealingKey(bytes(31) + b"x"), key)) == manifest
    for wrong, keys in (
        (document, ()),
        ({**document, "function": "other"}, (key,)),
        ({**document, "environment": str(document["environment"])[:-8] + "AAAAAAA="}, (key,)),
        ({**document, "environment": "?"}, (key,)),
    ):
        with pytest.raises(DocumentError, match="environment"):
            manifest_from_document(wrong, keys)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"function": "f", "name": "n", "targets": [{"version": "1"}]},
        {"function": "f", "name": "n", "targets": []},
        {"function": "f", "name": "n", "targets": [{"version": True, "weight": 10_000}]},
        {"function": "f", "name": "n", "targets": [{"version": each, "weight": 1} for each in (1, 2, 3)]},
    ],
)
def test_what_is_no_alias_is_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        alias_from_document(document)
    with pytest.raises(DocumentError):
        manifest_from_document(document)


def test_a_short_alias_has_defaults() -> None:
    alias = alias_from_document({"function": "f", "name": "n", "targets": [{"version": 1, "weight": 10_000}]})
    assert (alias.sticky.name, alias.rollback, alias.previous, alias.description) == ("", None, None, "")


def test_a_status_comes_back_as_it_was() -> None:
    status = LocationStatus(
        "fra", 7, 12.5, LocationState.DRAINING, 3, "i", {"f:live": 2}, (FailedVersion("f", 3, "no"),), 4
    )
    assert status_from_json(status_to_json(status)) == status


@pytest.mark.parametrize(
    "change",
    [
        {"state": "happy"},
        {"generation": "7"},
        {"running": {"f:live": "2"}},
        {"failed": [{"function": "f"}]},
        {"at": None},
    ],
)
def test_a_status_that_says_nonsense_is_refused(change: dict[str, object]) -> None:
    document = orjson.loads(status_to_json(LocationStatus("fra", 7, 12.5)))
    with pytest.raises(ValueError):  # noqa: PT011  # its text is nobody's concern
        status_from_json(orjson.dumps({**document, **change}))


def test_settings_are_named_by_the_function_not_by_the_document() -> None:
    assert settings_from_document("other", settings_to_document(settings("hello"))).name == "other"
