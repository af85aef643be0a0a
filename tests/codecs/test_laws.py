"""The laws of codecs, for every codec."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gpuzarr import codecs
from gpuzarr.codecs import imagecodecs, jpeg, registry
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


WITHOUT = {  # codecs without a row, and why
    "Pickle": "refused until it is allowed",
    "NvcompBatch": "a name of other codecs: its rows are those of nvcomp_batch",
    **dict.fromkeys(("ImageCodecs", "Jpeg", "JpegXl", "Lzw"), "of imagecodecs: tests/codecs/test_imagecodecs.py"),
}


def test_every_codec_has_a_row() -> None:
    """One in tests/laws/cases.py, or in array_cases.py: the laws above, hostile chunks and bombs then try it."""
    known = {type(case.codec).__name__ for case in (*CASES.values(), *ARRAY_CASES.values())}
    of_imagecodecs = {*imagecodecs.CODECS, *jpeg.CODECS}  # see test_imagecodecs.py and test_of_numcodecs.py
    registered = {codec.__name__ for codec in registry().values() if codec not in of_imagecodecs}
    assert registered - known == WITHOUT.keys() & registered


def test_no_name_is_of_two_codecs() -> None:
    """The later file would silently win."""
    loaded = [
        importlib.import_module(f"{codecs.__name__}.{file.name}") for file in pkgutil.iter_modules(codecs.__path__)
    ]
    given = [
        codec for module in loaded for codec in getattr(module, "CODECS", (getattr(module, "CODEC", None),)) if codec
    ]
    names = Counter((zarr_format, name) for codec in given for zarr_format, name in names_of(codec))
    assert not [name for name, count in names.items() if count > 1]
    assert names.keys() == registry().keys()


def names_of(codec: Any) -> list[tuple[int, str]]:
    return [*((3, name) for name in codec.names), *((2, name) for name in codec.ids)]
