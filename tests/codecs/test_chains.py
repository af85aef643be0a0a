"""Random chains of codecs on random arrays: see tests/laws/chains.py. `make attack` tries as many times more."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
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
    written,
)

EXAMPLES = 60


@settings(max_examples=examples(EXAMPLES) * FACTOR)
@given(chains(), st.data())
def test_a_chain(example: Example, data: Any) -> None:
    tried("chains")
    devices = [DEVICES["cpu"](), DEVICES["emulated"]()]
    made = outcome(lambda: opened(example.store(), devices[0]))
    if made.error:
        assert made == outcome(lambda: opened(example.store(), devices[1]))
        return
    stores = [written(example, device) for device in devices]
    assert stores[0][1] == stores[1][1]
    if stores[0][1].error:
        return
    expected, selection = example.expected(), selections(data.draw, example.values.shape)
    for store, _ in stores:
        whole, part = (read_everywhere(store, devices, which) for which in (..., selection))
        if whole.values is not None and part.values is not None:
            assert same(part.values, whole.values[selection])
        assert expected is None or (whole.values is not None and same(whole.values, expected))
    if expected is not None and example.in_zarr_python:
        theirs = read_by_zarr_python(stores[0][0])
        assert theirs is None or same(theirs, expected)
