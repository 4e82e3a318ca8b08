"""The ids that the world gives."""

import re

from edgefn.node import world


def test_request_ids_have_awss_shape_and_never_come_twice():
    ids = [world.request_id() for _ in range(1_000)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{54}==", one) for one in ids)
    assert len(set(ids)) == len(ids)


def test_as_many_random_bytes_as_asked_for_come_and_never_the_same():
    drawn = [world.random(size) for size in (16, 32, 40, 41, 4_096) for _ in range(300)]
    assert [len(one) for one in drawn] == [size for size in (16, 32, 40, 41, 4_096) for _ in range(300)]
    assert len(set(drawn)) == len(drawn)
