"""The checksums of numcodecs besides crc32c: crc32, adler32, fletcher32 and jenkins_lookup3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.checksum import Checksum, checked_location, with_checksum
from gpuzarr.cpu import checksums as cpu
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


def _crc32_on_gpu(device: Device, ranges: Any, longest: int) -> Any:
    return gpu.checksums.crc32_of(device, ranges, longest, gpu.checksums.CRC32)


def _adler32_on_gpu(device: Device, ranges: Any, longest: int) -> Any:
    return gpu.checksums.adler32_of(device, ranges, longest)


def _fletcher32_on_gpu(device: Device, ranges: Any, longest: int) -> Any:
    return gpu.checksums.fletcher32_of(device, ranges, longest)


def _jenkins_on_gpu(device: Device, ranges: Any, longest: int, initval: int, prefix: bytes) -> Any:
    return gpu.checksums.jenkins_lookup3_of(device, ranges, initval, prefix)


_CRC32 = Checksum("crc32", cpu.crc32, _crc32_on_gpu)
_ADLER32 = Checksum("adler32", cpu.adler32, _adler32_on_gpu)
_FLETCHER32 = Checksum("fletcher32", cpu.fletcher32, _fletcher32_on_gpu)


@dataclass(frozen=True)
class Crc32:
    names = ("numcodecs.crc32", "crc32")
    ids = ("crc32",)
    kind: ClassVar[Kind] = "bytes->bytes"
    takes_unmeasured: ClassVar[bool] = True
    checked_on_host: ClassVar[bool] = True
    reads_headers: ClassVar[bool] = False

    location: str = "start"

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", checked_location(self.location, "start", "crc32"))

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[Crc32, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """0: the result is a view of the chunk."""
        return 0

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return _CRC32.decode(chunks, spec, self.location, device, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        return _CRC32.encode(chunks, self.location, device)


@dataclass(frozen=True)
class Adler32:
    names = ("numcodecs.adler32", "adler32")
    ids = ("adler32",)
    kind: ClassVar[Kind] = "bytes->bytes"
    takes_unmeasured: ClassVar[bool] = True
    checked_on_host: ClassVar[bool] = True
    reads_headers: ClassVar[bool] = False

    location: str = "start"

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", checked_location(self.location, "start", "adler32"))

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[Adler32, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """0: the result is a view of the chunk."""
        return 0

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return _ADLER32.decode(chunks, spec, self.location, device, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        return _ADLER32.encode(chunks, self.location, device)


@dataclass(frozen=True)
class Fletcher32:
    """Fletcher-32 as HDF5 has it, at the end of the chunk."""

    names = ("numcodecs.fletcher32", "fletcher32")
    ids = ("fletcher32",)
    kind: ClassVar[Kind] = "bytes->bytes"
    takes_unmeasured: ClassVar[bool] = True
    checked_on_host: ClassVar[bool] = True
    reads_headers: ClassVar[bool] = False

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[Fletcher32, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """0: the result is a view of the chunk."""
        return 0

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return _FLETCHER32.decode(chunks, spec, "end", device, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        return _FLETCHER32.encode(chunks, "end", device)


@dataclass(frozen=True)
class JenkinsLookup3:
    """Jenkins' lookup3 hash as HDF5 has it, at the end of the chunk; `prefix` is hashed before the chunk."""

    names = ("numcodecs.jenkins_lookup3", "jenkins_lookup3")
    ids = ("jenkins_lookup3",)
    kind: ClassVar[Kind] = "bytes->bytes"
    takes_unmeasured: ClassVar[bool] = True
    checked_on_host: ClassVar[bool] = True
    reads_headers: ClassVar[bool] = False

    initval: int = 0
    prefix: bytes = b""

    def __post_init__(self) -> None:
        if type(self.initval) is not int or not 0 <= self.initval < 2**32:
            raise MetadataError(f"codec 'jenkins_lookup3': initval must be 0 to 2**32-1, not {self.initval!r}")
        if isinstance(self.prefix, str):
            object.__setattr__(self, "prefix", self.prefix.encode())
        object.__setattr__(self, "prefix", bytes(self.prefix or b""))

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return None

    @classmethod
    def warm_up_examples(cls) -> tuple[JenkinsLookup3, ...]:
        return (cls(),)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """0: the result is a view of the chunk."""
        return 0

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return self._checksum().decode(chunks, spec, "end", device, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        return self._checksum().encode(chunks, "end", device)

    def _checksum(self) -> Checksum:
        on_host = partial(cpu.jenkins_lookup3, initval=self.initval, prefix=self.prefix)
        on_gpu = partial(_jenkins_on_gpu, initval=self.initval, prefix=self.prefix)
        return Checksum("jenkins_lookup3", on_host, on_gpu)


CODECS = (Crc32, Adler32, Fletcher32, JenkinsLookup3)
