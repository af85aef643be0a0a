"""The laws of codecs, for every codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpuzarr.codecs import registry
from gpuzarr.devices.contract import Device
from tests.chunks import CPU
from tests.laws.array_cases import ARRAY_CASES
from tests.laws.arrays import ArrayCase, array_laws, on_device
from tests.laws.cases import CASES, SMALL
from tests.laws.codecs import OF_EVERY_BYTE, CodecCase, codec_laws

LAWS = [
    pytest.param(name, law, id=f"{name}-{law.__name__}")
    for name, case in CASES.items()
    for law in codec_laws(case, name in SMALL)
]

OF_ARRAYS = [
    pytest.param(name, law, id=f"{name}-{law.__name__}")
    for name, case in ARRAY_CASES.items()
    for law in array_laws(case)
]


@pytest.mark.damaging
@pytest.mark.parametrize("name, law", LAWS, ids=lambda of: getattr(of, "__name__", of))
def test_codec(name: str, law: Callable[[CodecCase, Any], None], device: Device) -> None:
    case = CASES[name]
    if device.gpu and (why := case.codec.why_host(case.spec)):
        pytest.skip(f"the CPU decodes it: {why}")
    if device.name.startswith("cuda") and law in OF_EVERY_BYTE:
        pytest.skip("the emulated GPU has tried every byte; a real one would take minutes")
    law(case, device)


@pytest.mark.parametrize("name, law", OF_ARRAYS, ids=lambda of: getattr(of, "__name__", of))
def test_codec_of_arrays(name: str, law: Callable[[ArrayCase, Any], None], device: Device) -> None:
    case = ARRAY_CASES[name]
    if device.gpu and all(
        on_device(case, way, case.spec(case.shapes[0]), device) is CPU for way in ("encode", "decode")
    ):
        pytest.skip("the CPU encodes and decodes it")
    law(case, device)


WITHOUT = {
    "Pickle": "refused until it is allowed",
    "FlatFilter": "stands for an array codec behind one of bytes: tests/codecs/test_matrix.py",
}


def test_every_codec_has_a_row() -> None:
    known = {type(case.codec).__name__ for case in (*CASES.values(), *ARRAY_CASES.values())}
    registered = {codec.__name__ for codec in registry().values()}
    assert registered - known == WITHOUT.keys() & registered, "add a row to tests/laws/cases.py or array_cases.py"
