"""An offline root's word on who may sign: what follows from what, and which signature counts for which record."""

import os
from collections.abc import Callable, Sequence

import pytest

from edgefn.functions import heads
from edgefn.functions.roles import Duty, Role, Trust
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.functions.trust import TrustError, begun, chained, drafted, followed, read, signed

ROOT, OTHER_ROOT, RELEASE, PUBLISHER, STRANGER = (SigningKey(os.urandom(32)) for _ in range(5))


def role(*keys: SigningKey, threshold: int = 1) -> Role:
    return Role({key_id(key.public): key.public for key in keys}, threshold)


def document(
    version: int, signers: Sequence[SigningKey] = (ROOT,), root: Role | None = None, release: Role | None = None
) -> bytes:
    roles = {
        Duty.ROOT: root or role(ROOT),
        Duty.RELEASE: release or role(RELEASE),
        Duty.PUBLISHER: role(PUBLISHER),
    }
    made = drafted(Trust(version, 2e9, roles))
    for signer in signers:
        made = signed(made, signer)
    return made


def test_a_chain_is_followed_from_its_beginning_and_from_anywhere_in_it() -> None:
    documents = [document(version) for version in (1, 2, 3)]
    assert begun(chained(documents)).version == 3
    assert followed(read(documents[1]), chained(documents)) == read(documents[2])
    assert followed(read(documents[2]), chained(documents[:1])).version == 3, "what is older is passed over"
    assert begun(chained(documents[1:])).version == 3, "whoever joins later begins with what holds then"


def test_the_root_itself_changes_with_the_signatures_of_both() -> None:
    first, moved = document(1), role(OTHER_ROOT)
    assert followed(read(first), chained([first, document(2, (ROOT, OTHER_ROOT), moved)])).version == 2
    for signers in ((ROOT,), (OTHER_ROOT,)):
        with pytest.raises(TrustError, match="0 of the 1 signatures that it needs"):
            followed(read(first), chained([first, document(2, signers, moved)]))
    both = [first, document(2, (ROOT, OTHER_ROOT), moved), document(3, (OTHER_ROOT,), moved)]
    assert begun(chained(both)).version == 3
    with pytest.raises(TrustError):
        begun(chained([*both[:2], document(3, (ROOT,), moved)]))


def test_several_roots_must_sign_where_the_threshold_says_so() -> None:
    two = role(ROOT, OTHER_ROOT, threshold=2)
    for signers in ((ROOT,), (ROOT, ROOT), (ROOT, STRANGER)):
        with pytest.raises(TrustError, match="1 of the 2 signatures"):
            begun(chained([document(1, signers, two)]))
    assert begun(chained([document(1, (ROOT, OTHER_ROOT), two)])).version == 1


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (lambda: chained([document(1, ())]), "0 of the 1 signatures"),
        (lambda: chained([document(1), document(2, (STRANGER,))]), "0 of the 1 signatures"),
        (lambda: chained([document(1), document(3)]), "version 3 is offered, but 1 is known"),
        (lambda: chained([document(1)]).replace(b'"sig":"', b'"sig":"AAAA'), "is false"),
        (lambda: b"", "not JSON"),
        (lambda: b"[]", "not an empty one"),
        (lambda: b'[{"payloadType": "application/vnd.edgefn.record+json"}]', "no envelope of"),
        (lambda: chained([document(1, (ROOT,), Role({}, 1))]), "must have keys, each once"),
        (lambda: chained([document(1, (ROOT,), role(ROOT, threshold=2))]), "a threshold of 1 to their number"),
    ],
)
def test_what_does_not_follow_does_not_count(chain: Callable[[], bytes], words: str) -> None:
    with pytest.raises(TrustError, match=words):
        begun(chain())


@pytest.mark.parametrize(
    ("subject", "signer", "counts"),
    [
        ("ver.hello.1", PUBLISHER, True),
        ("fn.hello", PUBLISHER, True),
        ("ver.hello.1", RELEASE, False),
        ("alias.hello.live", RELEASE, True),
        ("config.www", RELEASE, True),
        ("garbage", RELEASE, True),
        ("head", RELEASE, True),
        ("alias.hello.live", PUBLISHER, False),
        ("head", PUBLISHER, False),
        ("head", ROOT, False),
        ("head", STRANGER, False),
    ],
)
def test_a_key_signs_what_is_its_duty_and_nothing_else(subject: str, signer: SigningKey, *, counts: bool) -> None:
    written = heads.written(subject, 1, {}, Keys(signing=signer))
    judge = Keys(
        signing=STRANGER,
        trusted={key_id(STRANGER.public): STRANGER.public},
        trust=begun(chained([document(1)])),
    )
    flaw = heads.read(subject, written, judge).flaw
    assert (flaw == "") is counts
    assert counts or "which the root does not name as" in flaw


def test_a_control_plane_with_both_keys_signs_each_record_with_the_right_one() -> None:
    keys = Keys(signing=RELEASE, publisher=PUBLISHER, trust=begun(chained([document(1)])))
    for subject in ("ver.hello.1", "fn.hello", "alias.hello.live", "head"):
        assert heads.read(subject, heads.written(subject, 1, {}, keys), keys).flaw == ""


def test_a_record_needs_as_many_signatures_as_the_root_says() -> None:
    trust = begun(chained([document(1, release=role(RELEASE, STRANGER, threshold=2))]))
    written = heads.written("head", 1, {}, Keys(signing=RELEASE))
    assert heads.read("head", written, Keys(trust=trust)).flaw == "1 of the 2 keys that must have signed it have"
