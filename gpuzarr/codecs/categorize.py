"""categorize: strings as the numbers of their labels, from 1; 0 is any other string, and decodes to "".

Source: numcodecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.cpu.elements import native, numpy_dtype
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MetadataError


@dataclass(frozen=True)
class Categorize:
    names = ("numcodecs.categorize", "categorize")
    ids = ("categorize",)
    kind: ClassVar[Kind] = "array->array"

    labels: tuple[str, ...]
    dtype: np.dtype
    astype: np.dtype

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Categorize:
        return cls(**_parsed(**configuration))

    from_v2 = from_v3

    def __post_init__(self) -> None:
        if not all(isinstance(label, str) for label in self.labels):
            raise MetadataError(f"codec 'categorize': labels must be strings, not {self.labels!r}")
        if self.dtype.kind not in "UOT" or self.astype.kind not in "iu":
            raise MetadataError(f"codec 'categorize' converts strings to integers, not {self.dtype} into {self.astype}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        if spec.dtype.kind not in "UOT":
            raise MetadataError(f"codec 'categorize' takes strings, not {spec.dtype}")
        dtype = self.astype.newbyteorder("=")
        fill = self.labels.index(spec.fill_value) + 1 if spec.fill_value in self.labels else 0
        return ChunkSpec(spec.shape, dtype, dtype.type(fill))

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no strings"

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        numbers = native(chunks)
        labels = np.array(["", *self.labels], dtype=spec.dtype)
        return labels[np.where((numbers > 0) & (numbers < len(labels)), numbers, 0).astype(np.int64)]

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        made = np.zeros(chunks.shape, self.astype.newbyteorder("="))
        for number, label in enumerate(self.labels, 1):
            made[chunks == label] = number
        return made


def _parsed(labels: Any, dtype: Any, astype: Any = "u1") -> dict[str, Any]:
    if not isinstance(labels, list | tuple):
        raise MetadataError(f"codec 'categorize': labels must be a list, not {labels!r}")
    dtypes = {"dtype": numpy_dtype(dtype, "categorize"), "astype": numpy_dtype(astype, "categorize")}
    return {"labels": tuple(labels)} | dtypes


CODEC = Categorize
