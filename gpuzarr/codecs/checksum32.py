"""The checksums of numcodecs besides crc32c: crc32, adler32, fletcher32 and jenkins_lookup3."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu.checksums import Checksum, appended, check_location, verified, with_checksum
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Crc32:
    names = ("numcodecs.crc32", "crc32")
    ids = ("crc32",)
    kind: ClassVar[Kind] = "bytes->bytes"

    location: str = "start"

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", self.location or "start")
        check_location(self.location, "crc32")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "crc32 is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return verified("crc32", chunks, spec, into, self.location, zlib.crc32)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return appended("crc32", chunks, device, self.location, zlib.crc32)


@dataclass(frozen=True)
class Adler32:
    names = ("numcodecs.adler32", "adler32")
    ids = ("adler32",)
    kind: ClassVar[Kind] = "bytes->bytes"

    location: str = "start"

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", self.location or "start")
        check_location(self.location, "adler32")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "adler32 is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return verified("adler32", chunks, spec, into, self.location, zlib.adler32)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return appended("adler32", chunks, device, self.location, zlib.adler32)


@dataclass(frozen=True)
class Fletcher32:
    """Fletcher-32 as HDF5 has it, at the end of the chunk."""

    names = ("numcodecs.fletcher32", "fletcher32")
    ids = ("fletcher32",)
    kind: ClassVar[Kind] = "bytes->bytes"

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return with_checksum(spec)

    def why_host(self, spec: BytesSpec) -> str | None:
        return "fletcher32 is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return verified("fletcher32", chunks, spec, into, "end", _fletcher32())

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return appended("fletcher32", chunks, device, "end", _fletcher32())


@dataclass(frozen=True)
class JenkinsLookup3:
    """Jenkins' lookup3 hash as HDF5 has it, at the end of the chunk; `prefix` is hashed before the chunk."""

    names = ("numcodecs.jenkins_lookup3", "jenkins_lookup3")
    ids = ("jenkins_lookup3",)
    kind: ClassVar[Kind] = "bytes->bytes"

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
        return "jenkins_lookup3 is not written for the GPU"

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        return verified("jenkins_lookup3", chunks, spec, into, "end", self._checksum())

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch:
        return appended("jenkins_lookup3", chunks, device, "end", self._checksum())

    def _checksum(self) -> Checksum:
        from numcodecs.jenkins import jenkins_lookup3

        prefix = np.frombuffer(self.prefix, np.uint8)
        return lambda data: jenkins_lookup3(np.concatenate([prefix, data]), self.initval)


def _fletcher32() -> Checksum:
    from numcodecs.fletcher32 import Fletcher32 as library

    codec: Any = library()
    return lambda data: int.from_bytes(bytes(codec.encode(data))[-4:], "little")


CODECS = (Crc32, Adler32, Fletcher32, JenkinsLookup3)
