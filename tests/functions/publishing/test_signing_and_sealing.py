"""Signatures and seals: what they cover, what breaks them, and where the keys are kept."""

import base64
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.functions.keys import (
    KeysError,
    distrust,
    make_keys,
    parse_public,
    public_line,
    read_keys,
    trust,
    trusted_keys,
)
from edgefn.functions.sealing import SealError, SealingKey, is_sealed, unsealed
from edgefn.functions.signing import (
    PAYLOAD_TYPE,
    EnvelopeError,
    Keys,
    SigningKey,
    enveloped,
    key_id,
    opened,
    pre_authentication_encoding,
)
from edgefn.model.settings import SignaturePolicy

OURS, THEIRS = SigningKey(bytes(range(32))), SigningKey(bytes(32))
SECRET, OTHER = SealingKey(bytes(range(32))), SealingKey(bytes(32))
TRUSTING = Keys(trusted={key_id(OURS.public): OURS.public})


def test_the_encoding_is_that_of_dsse() -> None:
    """The example of the DSSE protocol."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.binary())
def test_what_was_signed_is_opened_as_it_was(payload: bytes) -> None:
    assert opened(enveloped(payload, OURS), TRUSTING).payload == payload
    assert opened(enveloped(payload, OURS), TRUSTING).flaw == ""


def test_a_signature_of_somebody_else_or_none_is_a_flaw() -> None:
    assert "not trusted here" in opened(enveloped(b"x", THEIRS), TRUSTING).flaw
    assert opened(enveloped(b"x", None), TRUSTING).flaw == "it is not signed"
    assert opened(enveloped(b"x", OURS), Keys(signing=OURS)).flaw == ""


def changed(envelope: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(envelope), **fields}).encode()


def test_a_payload_that_was_changed_is_no_envelope_whatever_the_policy() -> None:
    envelope = enveloped(b"pay 10", OURS)
    other = base64.b64encode(b"pay 99").decode()
    with pytest.raises(EnvelopeError, match="it was changed"):
        opened(changed(envelope, payload=other), TRUSTING)


@pytest.mark.parametrize(
    "fields",
    [
        {"payloadType": "text/plain"},
        {"payload": "***"},
        {"payload": None},
        {"signatures": {}},
        {"signatures": ["x"]},
        {"signatures": [{"keyid": key_id(OURS.public), "sig": "AAAA"}]},
        {"signatures": [{"keyid": key_id(OURS.public), "sig": "?"}]},
    ],
)
def test_what_is_no_envelope_is_said(fields: dict[str, object]) -> None:
    with pytest.raises(EnvelopeError):
        opened(changed(enveloped(b"x", OURS), **fields), TRUSTING)


def test_one_good_signature_among_strangers_is_enough() -> None:
    message = pre_authentication_encoding(PAYLOAD_TYPE, b"x")
    signatures = [
        {"keyid": key_id(key.public), "sig": base64.b64encode(key.sign(message)).decode()} for key in (THEIRS, OURS)
    ]
    assert opened(changed(enveloped(b"x", None), signatures=signatures), TRUSTING).flaw == ""


@given(st.binary(), st.binary(max_size=10))
def test_what_was_sealed_opens_and_tells_nothing(content: bytes, about: bytes) -> None:
    sealed = SECRET.seal(content, about)
    assert is_sealed(sealed)
    assert SECRET.open(sealed, about) == content
    assert len(content) < 8 or content not in sealed.removeprefix(b"edgefn-sealed-1\n")  # which all of them begin with
    assert SECRET.seal(content, about) == sealed


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_bit_is_noticed(place: int, change: int) -> None:
    sealed = bytearray(SECRET.seal(b"some secret content", b"about"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(SealError):
        SECRET.open(bytes(sealed), b"about")


def test_nonces_differ_with_content_place_and_key() -> None:
    nonces = {
        key.seal(content, about)[24:36]
        for key in (SECRET, OTHER)
        for content in (b"", b"a", b"b")
        for about in (b"", b"x")
    }
    assert len(nonces) == 12


def test_a_seal_belongs_to_its_place_and_its_key() -> None:
    sealed = SECRET.seal(b"x", b"hello")
    with pytest.raises(SealError):
        SECRET.open(sealed, b"other")
    assert unsealed(sealed, b"hello", (OTHER, SECRET)) == b"x"
    assert unsealed(b"never sealed", b"hello", ()) == b"never sealed"
    with pytest.raises(SealError, match=f"sealed with the key {SECRET.id}, which is not here"):
        unsealed(sealed, b"hello", (OTHER,))


def test_secrets_are_not_in_what_is_printed_of_a_key() -> None:
    for key in (SECRET, OURS, Keys(signing=OURS, sealing=(SECRET,))):
        assert repr(bytes(range(32)))[2:20] not in repr(key)


def test_keys_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "keys", SignaturePolicy.WARN) == Keys()
    made = make_keys(tmp_path / "keys", os.urandom)
    assert made.signing is not None
    assert read_keys(tmp_path / "keys", SignaturePolicy.ENFORCE) == replace(made, policy=SignaturePolicy.ENFORCE)
    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(KeysError, match="has keys already"):
        make_keys(tmp_path / "keys", os.urandom)


def test_rotated_keys_still_count_and_open(tmp_path: Path) -> None:
    old = make_keys(tmp_path, os.urandom)
    new = make_keys(tmp_path, os.urandom, rotate=True)
    assert old.signing is not None
    assert new.signing != old.signing
    assert new.public(key_id(old.signing.public)) == old.signing.public
    assert new.sealing[0] != old.sealing[0]
    assert new.sealing[1:] == old.sealing
    assert opened(enveloped(b"x", old.signing), new).flaw == ""


def test_keys_of_others_are_trusted_and_distrusted_by_name_or_id(tmp_path: Path) -> None:
    public, name = parse_public(public_line(OURS.public, "build"))
    trust(tmp_path, public, name)
    trust(tmp_path, THEIRS.public, "laptop")
    trust(tmp_path, OURS.public, "build-2")
    assert trusted_keys(tmp_path) == [(THEIRS.public, "laptop"), (OURS.public, "build-2")]
    distrust(tmp_path, "build-2")
    distrust(tmp_path, key_id(THEIRS.public))
    assert trusted_keys(tmp_path) == []
    with pytest.raises(KeysError, match="there is no key"):
        distrust(tmp_path, "build")


@pytest.mark.parametrize("text", ["ed25519-secret\n", "ed25519-secret AAAA\n", "rsa AAAA\n", "?\n"])
def test_a_file_of_keys_that_is_none_is_named_without_its_content(tmp_path: Path, text: str) -> None:
    (tmp_path / "signing.key").write_text(text)
    with pytest.raises(KeysError) as caught:
        read_keys(tmp_path, SignaturePolicy.WARN)
    assert "signing.key:1: is no key" in str(caught.value)
    assert "AAAA" not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_keys(tmp_path, os.urandom)
    (tmp_path / "sealing.key").chmod(0o640)
    with pytest.raises(KeysError, match=r"others can read it; chmod 600"):
        read_keys(tmp_path, SignaturePolicy.WARN)
