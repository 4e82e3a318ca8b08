"""What a location keeps of its fleet."""

import json
from pathlib import Path

import pytest

from edgefn.control.client import ControlError
from edgefn.functions.replicas.nats.layout import location_inbox
from edgefn.model.errors import SettingsError
from edgefn.node.credentials import Credentials
from edgefn.node.membership import FILE, membership_in, read_membership
from tests.functions.nats.stage import user_key

OLD = {
    "location": "fra1",
    "control": "http://127.0.0.1:8090",
    "servers": ["nats://127.0.0.1:4222"],
    "seed": user_key().seed,
    "token": "token",
    "expires": 1e9,
    "renewal": "renewal",
}


def test_what_was_kept_before_there_was_tls_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(OLD))
    membership = read_membership(str(tmp_path))
    assert (membership.servers, membership.ca, membership.control_ca) == (("nats://127.0.0.1:4222",), "", "")
    address = Credentials.read(str(tmp_path), print).address()
    assert (address.tls, address.inbox) == (None, location_inbox("fra1"))


@pytest.mark.parametrize("wrong", [{"seed": "SU"}, {"ca": "no certificate"}])
def test_what_is_damaged_is_said_with_its_cure(tmp_path: Path, wrong: dict[str, str]) -> None:
    (tmp_path / FILE).write_text(json.dumps({**OLD, **wrong}))
    with pytest.raises(SettingsError, match="`edgefn location join` makes it anew"):
        Credentials.read(str(tmp_path), print)


def test_credentials_hold_as_long_by_a_clock_that_is_wrong() -> None:
    told = {"location": "fra1", "servers": [], "token": "t", "issued": 1_000, "expires": 1_600, "renewal": "", "ca": ""}
    membership = membership_in(told, "https://control.example", 50_000.0)
    assert (membership.issued, membership.expires) == (50_000.0, 50_600.0)


def test_an_answer_that_is_none_is_an_error() -> None:
    with pytest.raises(ControlError, match="said something else"):
        membership_in({"location": "fra1"}, "https://control.example", 0.0)
