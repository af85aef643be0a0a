"""zarrs.gdeflate: pages are those of nvCOMP, the header is that of zarrs, and damage does not crash the process."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.batch import BytesSpec
from gpuzarr.codecs import find
from gpuzarr.cpu import gdeflate_library
from gpuzarr.cpu.chunkwise import pack
from gpuzarr.cpu.gdeflate_library import Encoder, decode_page
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.nvcomp.files import installed
from gpuzarr.errors import CodecError, FewReadersWarning, MetadataError, UnsupportedError
from gpuzarr.formats.gdeflate import MAX_STORED_BYTES, MIN_STORED_BYTES, PAGE_BYTES
from tests.chunks import plain
from tests.hardware import complete, host_array


def by_nvcomp(page: bytes, level: int) -> bytes:
    """What nvCOMP's encoder on the CPU makes of a page, `nvcomp::gdeflate::compressCPU` of native/gdeflate_cpu.h."""
    function: Any = ctypes.CDLL(installed("libnvcomp_cpu.so.*")[0])._ZN6nvcomp8gdeflate11compressCPUEPKPKvPKmmmPKPvPmi
    place, size = ctypes.c_void_p, ctypes.c_size_t
    function.restype, function.argtypes = None, [place, place, size, size, place, place, ctypes.c_int]
    source, target = np.frombuffer(page, np.uint8), np.zeros(MAX_STORED_BYTES, np.uint8)
    made = (size * 1)()
    pointers = (place * 1)(source.ctypes.data), (size * 1)(len(page)), (place * 1)(target.ctypes.data)
    function(pointers[0], pointers[1], PAGE_BYTES, 1, pointers[2], made, level)
    return target[: made[0]].tobytes()


def encoded(data: bytes, level: int = 6) -> bytes:
    codec = find("zarrs.gdeflate", {"level": level})
    return codec.encode(pack([data], CPU), BytesSpec(len(data)), CPU)[0].tobytes()


@pytest.mark.parametrize("level", range(13))
@pytest.mark.parametrize("nbytes", [1, 150, PAGE_BYTES])
def test_a_page_is_a_chunk_of_nvcomp(level: int, nbytes: int) -> None:
    for kind in ("mixed", "noise", "smooth"):
        page = plain(nbytes, kind)
        assert Encoder(level).encode(np.frombuffer(page, np.uint8)) == by_nvcomp(page, level)


@pytest.mark.parametrize("nbytes", [1, 65536, 65537, 200_001])
def test_the_header_is_that_of_zarrs(nbytes: int) -> None:
    data = plain(nbytes, "mixed")
    pages = [by_nvcomp(data[at : at + PAGE_BYTES], 6) for at in range(0, nbytes, PAGE_BYTES)]
    header = struct.pack(f"<{2 + len(pages)}Q", nbytes, len(pages), *map(len, pages))
    assert encoded(data) == header + b"".join(pages)


def test_a_chunk_of_no_bytes_has_no_pages() -> None:
    assert encoded(b"") == bytes(16)


DAMAGE = """
import numpy as np
from gpuzarr.cpu.gdeflate_library import Encoder, decode_page
from gpuzarr.errors import CodecError
rng, target, refused = np.random.default_rng(0), np.zeros(65536, np.uint8), 0
page = np.frombuffer(Encoder(6).encode(rng.integers(0, 9, 65536, np.uint8)), np.uint8)
for size in [128, 132, 160, *rng.integers(33, len(page) // 4 - 64, 200) * 4]:  # cut: all that follows is missing
    for damaged in (page[:size], np.zeros(size, np.uint8), rng.integers(0, 256, size, np.uint8)):
        try:
            decode_page(damaged, target)
        except CodecError:
            refused += 1
print(refused)
"""


def test_damaged_pages_do_not_crash_the_process() -> None:
    made = subprocess.run([sys.executable, "-c", DAMAGE], capture_output=True, text=True, check=True)
    assert int(made.stdout) == 3 * 203


@pytest.mark.parametrize(
    "damage",
    [
        lambda chunk: chunk[:8],
        lambda chunk: struct.pack("<Q", 1 << 62) + chunk[8:],
        lambda chunk: chunk[:8] + struct.pack("<Q", 1 << 62) + chunk[16:],
        lambda chunk: chunk[:16] + struct.pack("<Q", 1 << 63) + chunk[24:],
        lambda chunk: chunk[:16] + struct.pack("<Q", MIN_STORED_BYTES - 4) + chunk[24:],
        lambda chunk: chunk + b"more",
        lambda chunk: chunk[:-4],
    ],
)
@pytest.mark.parametrize("nbytes", [70_000, None])
def test_a_header_that_is_wrong_is_refused(damage: Any, nbytes: int | None) -> None:
    codec, good = find("zarrs.gdeflate", {"level": 6}), encoded(plain(70_000, "mixed"))
    with pytest.raises(CodecError) as refused:
        codec.decode(pack([good, damage(good)], CPU), BytesSpec(nbytes), CPU)
    assert refused.value.index == 1


@pytest.mark.filterwarnings("ignore::gpuzarr.errors.FewReadersWarning")
@pytest.mark.parametrize("shape", [(1,), (300, 301), (7, 65536)])
def test_arrays(device: Any, tmp_path: Any, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 100, shape).astype("<u4")
    compressors = {"name": "zarrs.gdeflate", "configuration": {"level": 6}}
    made = gpuzarr.create_array(tmp_path / "a", data=values, chunks=shape, compressors=compressors, device=device)
    assert made.nbytes_stored() < values.nbytes or values.nbytes < 200
    for reader in ("cpu", device):
        found = gpuzarr.open_array(tmp_path / "a", device=reader)[...]
        assert np.array_equal(host_array(found), values)
    complete(device)


def test_it_is_written_on_request_with_a_warning(tmp_path: Any) -> None:
    with pytest.warns(FewReadersWarning, match=r"zarrs\.gdeflate.* zarr-python"):
        made = gpuzarr.create_array(tmp_path / "a", shape=8, dtype="i4", compressors="zarrs.gdeflate")
    assert made.metadata.document["codecs"][-1] == {"name": "zarrs.gdeflate", "configuration": {"level": 9}}
    with pytest.warns(FewReadersWarning, match=r"zarrs\.gdeflate.* zarr-python"):
        gpuzarr.create_array(tmp_path / "b", shape=8, dtype="i4", chunks=2, shards=4, compressors="zarrs.gdeflate")


@pytest.mark.parametrize("level", [-1, 13, 1.5, True, "9"])
def test_levels(level: Any) -> None:
    with pytest.raises(MetadataError, match="level must be 0 to 12"):
        find("zarrs.gdeflate", {"level": level})


def test_without_the_library_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    page = np.frombuffer(Encoder(1).encode(np.ones(9, np.uint8)), np.uint8)

    def missing(name: str) -> Any:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(gdeflate_library.ctypes, "CDLL", missing)
    monkeypatch.delattr(gdeflate_library._local, "decoder", raising=False)
    gdeflate_library._library.cache_clear()
    with pytest.raises(UnsupportedError, match="pip install nvidia-libnvcomp"):
        decode_page(page, np.empty(9, np.uint8))
    gdeflate_library._library.cache_clear()
