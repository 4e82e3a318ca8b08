"""The garbage collector takes small bites: what is stored by the thousand must not hold up the event loop."""

import gc

import pytest

from edgefn.node.collecting import settle


@pytest.fixture
def settled():
    before = gc.get_threshold()
    settle()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("settled")
def test_no_collection_but_the_full_one_looks_at_many_values() -> None:
    bites: list[tuple[int, int]] = []

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            generation = about["generation"]
            bites.append((generation, sum(len(gc.get_objects(each)) for each in range(generation + 1))))

    gc.callbacks.append(note)
    try:
        kept = [[number] for number in range(200_000)]
    finally:
        gc.callbacks.remove(note)
    assert len(kept) == 200_000
    assert {generation for generation, _ in bites} == {0, 1}
    assert max(size for _, size in bites) <= 25_000
