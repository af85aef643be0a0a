"""crc32c: a CRC-32C (Castagnoli) of the chunk. Source: Zarr v3 `crc32c` codec; numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.cpu.checksums import appended, check_location, crc32c_function, payload_of, verified, with_checksum
from gpuzarr.devices.contract import Device


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
        object.__setattr__(self, "location", self.location or "end")
        check_location(self.location, "crc32c")

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
        if device.gpu:
            payload = payload_of("crc32c", chunks, spec, self.location)
            gpu.checksums.verify_crc32c(chunks, payload, self.location == "end", device)
            return gpu.tables.moved(payload, into, device)
        from google_crc32c import value

        return verified("crc32c", chunks, spec, into, self.location, value, crc32c_function())

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu or isinstance(chunks, Unmeasured):
            return gpu.append.append_crc32c(chunks, self.location == "end", device)
        from google_crc32c import value

        return appended("crc32c", chunks, device, self.location, value)


CODEC = Crc32c
