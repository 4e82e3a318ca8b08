"""The limits of functions are those of AWS's tables."""

import base64

import pytest

from edgefn.model.hook import Event
from edgefn.model.settings import QuotaProfile
from edgefn.rules.quotas import base64_length, quotas

VIEWER_EVENTS = [Event.VIEWER_REQUEST, Event.VIEWER_RESPONSE]
ORIGIN_EVENTS = [Event.ORIGIN_REQUEST, Event.ORIGIN_RESPONSE]


@pytest.mark.parametrize("event", VIEWER_EVENTS)
def test_todays_viewer_events_have_30_seconds_and_50_mb_of_code(event):
    limits = quotas(QuotaProfile.AWS_2025, event)
    assert (limits.timeout, limits.memory, limits.zip_size) == (30.0, 10_240 * 1024**2, 50 * 1024**2)


@pytest.mark.parametrize("event", VIEWER_EVENTS)
def test_the_legacy_viewer_events_have_5_seconds_128_mb_and_1_mb_of_code(event):
    limits = quotas(QuotaProfile.AWS_LEGACY, event)
    assert (limits.timeout, limits.memory, limits.zip_size) == (5.0, 128 * 1024**2, 1024**2)


@pytest.mark.parametrize("event", ORIGIN_EVENTS)
def test_origin_events_are_the_same_in_both_tables(event):
    limits = quotas(QuotaProfile.AWS_LEGACY, event)
    assert limits == quotas(QuotaProfile.AWS_2025, event)
    assert (limits.timeout, limits.memory, limits.zip_size) == (30.0, 10_240 * 1024**2, 50 * 1024**2)


@pytest.mark.parametrize("profile", QuotaProfile)
@pytest.mark.parametrize(
    ("events", "size"), [(VIEWER_EVENTS, 40 * 1024), (ORIGIN_EVENTS, 1024**2)], ids=["viewer", "origin"]
)
def test_bodies_are_bounded_by_the_event(profile, events, size):
    for event in events:
        limits = quotas(profile, event)
        assert (limits.generated, limits.body_exposed, limits.body_text) == (size, size, size)
        assert limits.body_base64 == len(base64.b64encode(bytes(size)))


@pytest.mark.parametrize("size", range(8))
def test_the_length_of_base64_counts_the_padding(size):
    assert base64_length(size) == len(base64.b64encode(bytes(size)))
