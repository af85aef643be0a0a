"""crc32c: a CRC-32C (Castagnoli) of the chunk. Source: Zarr v3 `crc32c` codec; numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.checksum import Checksum, checked_location, with_checksum
from gpuzarr.cpu.checksums import crc32c
from gpuzarr.devices.contract import Device


def _on_host(chunks: EncodedBatch) -> np.ndarray:
    from google_crc32c import value

    return crc32c(chunks, value)


def _on_gpu(device: Device, ranges: Any, longest: int) -> Any:
    return gpu.checksums.crc32_of(device, ranges, longest, gpu.checksums.CRC32C)


_CRC32C = Checksum("crc32c", _on_host, _on_gpu)


@dataclass(frozen=True)
class Crc32c:
    names = ("crc32c", "numcodecs.crc32c")
    ids = ("crc32c",)
    kind: ClassVar[Kind] = "bytes->bytes"
    takes_unmeasured: ClassVar[bool] = True
    checked_on_host: ClassVar[bool] = True
    reads_headers: ClassVar[bool] = False

    location: str = "end"

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", checked_location(self.location, "end", "crc32c"))

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[Crc32c, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """0: the result is a view of the chunk."""
        return 0

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return _CRC32C.decode(chunks, spec, self.location, device, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        return _CRC32C.encode(chunks, self.location, device)


CODEC = Crc32c
