"""The laws of codecs, for every codec that makes bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpuzarr.codecs import imagecodecs, jpeg, registry
from gpuzarr.devices.contract import Device
from tests.laws.cases import CASES, SMALL
from tests.laws.codecs import OF_EVERY_BYTE, CodecCase, codec_laws

LAWS = [
    pytest.param(name, law, id=f"{name}-{law.__name__}")
    for name, case in CASES.items()
    for law in codec_laws(case, name in SMALL)
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


def test_every_codec_that_makes_bytes_has_a_row() -> None:
    """But pickles, which are refused until they are allowed, and what imagecodecs runs: see test_imagecodecs.py."""
    known = {type(case.codec) for case in CASES.values()}
    others = {codec for codec in registry().values() if codec.kind != "array->array"} - known
    others -= set(imagecodecs.CODECS) | set(jpeg.CODECS)
    assert {codec.__name__ for codec in others} == {"Pickle"}
