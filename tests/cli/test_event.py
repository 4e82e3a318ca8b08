"""`edgefn event`: samples of what functions get."""

import base64
import json

import pytest

from edgefn.cli.samples import SAMPLES
from edgefn.model.hook import Event
from tests.cli.running import Here


def sample(here: Here, name: str) -> dict[str, dict[str, dict[str, object]]]:
    done = here("event", name)
    assert (done.returncode, done.stderr) == (0, "")
    record: dict[str, dict[str, dict[str, object]]] = json.loads(done.stdout)["Records"][0]
    return record


def test_without_a_name_it_lists_the_names(here: Here) -> None:
    done = here("event")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SAMPLES)
    assert {event.value for event in Event} <= set(SAMPLES)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith("cloudfront-")])
def test_a_sample_for_cloudfront_functions_is_an_event_of_theirs(here: Here, name: str) -> None:
    told = json.loads(here("event", name).stdout)
    assert f"cloudfront-{told['context']['eventType']}" == name
    assert ("response" in told) == ("response" in name)


@pytest.mark.parametrize("name", [name for name in SAMPLES if not name.startswith("cloudfront-")])
def test_a_sample_is_an_event_of_its_type(here: Here, name: str) -> None:
    cf = sample(here, name)["cf"]
    assert name.startswith(str(cf["config"]["eventType"]))
    assert ("response" in cf) == ("response" in name)


@pytest.mark.parametrize("name", ["viewer-request-body", "origin-request-body"])
def test_a_sample_with_a_body_has_the_form_in_base64(here: Here, name: str) -> None:
    body = sample(here, name)["cf"]["request"]["body"]
    assert isinstance(body, dict)
    assert base64.b64decode(body.pop("data")) == b"name=Ada&language=en"
    assert body == {"inputTruncated": False, "action": "read-only", "encoding": "base64"}


def test_an_unknown_name_is_answered_with_the_known_ones(here: Here) -> None:
    done = here("event", "viewer")
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid choice: 'viewer' (choose from" in done.stderr
    assert "origin-request-s3" in done.stderr
