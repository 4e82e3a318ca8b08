"""When Python looks for rings of garbage: seldom, and never among what lives as long as the process."""

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50


def settle() -> None:
    """Leave all that is here now out of every collection to come, and collect less often. Call it once started.

    A request leaves no rings behind, so the collector's usual pace is a tenth of its cost for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
