"""Random chains of codecs on random arrays: see tests/laws/chains.py. `make attack` tries as many times more."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.attack.rounds import FACTOR, tried
from tests.conftest import examples
from tests.hardware import DEVICES
from tests.laws.chains import (
    Example,
    chains,
    opened,
    outcome,
    read_by_zarr_python,
    read_everywhere,
    same,
    selections,
    told,
    written,
)
from tests.laws.mutations import hostile

EXAMPLES = 60
FORMATS = st.sampled_from([3, 3, 2])
SHUFFLE = "numcodecs.shuffle"
GAPS = "zlib", "gzip", "deflate"  # see laws.agreement.devices_agree


def devices() -> list[Any]:
    return [DEVICES["cpu"](), DEVICES["emulated"]()]


@settings(max_examples=examples(EXAMPLES) * FACTOR)
@given(chains(), FORMATS, st.data())
def test_a_chain(example: Example, zarr_format: int, data: Any) -> None:
    assume(zarr_format == 3 or example.in_v2() is not None)
    tried("chains")
    both = devices()
    made = outcome(lambda: opened(example.store(zarr_format), both[0]))
    if made.error:
        assert made == outcome(lambda: opened(example.store(zarr_format), both[1]))
        return
    stores = [written(example, device, zarr_format) for device in both]
    told_by = [one for _, one in stores]
    if SHUFFLE in {one.codec for one in told_by}:  # it takes even sizes, and each encoder makes its own of a chunk
        return
    assert told_by[0] == told_by[1]
    if told_by[0].error:
        return
    expected, selection = example.expected(), selections(data.draw, example.values.shape)
    for store, _ in stores:
        whole, part = (read_everywhere(store, both, which) for which in (..., selection))
        if whole.values is not None and part.values is not None:
            assert same(part.values, whole.values[selection])
        read_everywhere(store, both, selection, scale=0.5, offset=-3)
        assert expected is None or (whole.values is not None and same(whole.values, expected))
        if expected is not None and (zarr_format == 2 or example.in_zarr_python):
            theirs = read_by_zarr_python(store)
            assert theirs is None or same(theirs, expected)


@settings(max_examples=examples(EXAMPLES) * FACTOR)
@given(chains(most=3), FORMATS, st.integers(0, 2**32 - 1))
def test_a_hostile_chunk(example: Example, zarr_format: int, seed: int) -> None:
    """Each device refuses the same chunk for the same codec, or has the same values; also where two chunks are bad."""
    assume(zarr_format == 3 or example.in_v2() is not None)
    both, rng = devices(), np.random.default_rng(seed)
    assume(not outcome(lambda: opened(example.store(zarr_format), both[0])).error)
    store, wrote = written(example, both[0], zarr_format)
    keys = sorted(key for key in store if key.rpartition("/")[2] not in ("zarr.json", ".zarray"))
    assume(not wrote.error and keys)
    right = [outcome(lambda device=device: opened(store, device)[...]) for device in both]
    assert right[0] == right[1]
    for _ in range(4):
        tried("hostile chunks in arrays")
        damaged = [keys[i] for i in rng.integers(len(keys), size=rng.integers(1, 3))]
        bad = store | {key: hostile(store[key], rng) for key in damaged}
        found = [outcome(lambda device=device, bad=bad: opened(bad, device)[...]) for device in both]
        has_gap = any(name in told(example.document) for name in GAPS) and found[1] == right[1]
        assert found[0] == found[1] or has_gap, ({key: bad[key] for key in damaged}, found)
