"""The field tables are the one truth: schema and documentation follow them."""

import json
from pathlib import Path

import pytest

from edgefn.configuration.loader import schema
from edgefn.configuration.reference import control_reference, reference, sections

DOCS = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
EVERY_KEY = [(section.name, known.key) for section in sections() for known in section.fields]


def keys_of(part):
    """Return all property names anywhere in a JSON Schema."""
    if isinstance(part, list):
        return set().union(*map(keys_of, part))
    if not isinstance(part, dict):
        return set()
    return set(part.get("properties", {})) | set().union(*map(keys_of, part.values()))


def test_the_documentation_ends_with_the_reference():
    assert DOCS.endswith(reference())


def test_so_does_that_of_control_planes():
    page = (Path(__file__).parents[2] / "docs" / "control.md").read_text()
    assert page.endswith(control_reference())
    for key in ("ca_file", "certificate", "from", "credentials_lifetime"):
        assert f"| `{key}` | " in control_reference()
    assert "`workers`" not in control_reference()


@pytest.mark.parametrize(("section", "key"), EVERY_KEY)
def test_every_setting_is_documented_and_explained(section, key):
    heading = f"### `{section}`\n" if section else "### The top of the file\n"
    part = DOCS.partition(heading)[2].partition("###")[0]
    assert f"| `{key}` | " in part


def test_the_schema_knows_every_setting_and_nothing_else():
    assert keys_of(json.loads(schema())) == {key for _, key in EVERY_KEY} | {"except"}


def test_the_schema_says_what_is_required_and_what_the_defaults_are():
    top = json.loads(schema())
    assert top["required"] == ["location", "listen"]
    assert top["anyOf"] == [{"required": ["origins", "routes"]}, {"required": ["site"]}]
    assert top["additionalProperties"] is False
    assert top["properties"]["drain_timeout"]["default"] == "30s"
    assert top["properties"]["workers"]["default"] == 1
    route = top["properties"]["routes"]["items"]
    assert route["required"] == ["path", "origin"]
    assert route["properties"]["viewer_protocol"]["enum"] == ["allow-all", "redirect-to-https", "https-only"]
