"""cast_value: numbers converted by value to another data type. Source: Zarr extension `cast_value`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import Direction
from gpuzarr.codecs.element_wise import why_host
from gpuzarr.cpu.casting import OUT_OF_RANGE, ROUNDINGS, cast
from gpuzarr.cpu.elements import native
from gpuzarr.cpu.scalars import scalar
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import (
    REFUSE_INFINITY,
    REFUSE_NAN,
    REPLACE,
    TO_FLOAT,
    TO_INTEGER,
    TO_NARROW,
    Instruction,
    Program,
    kind_of,
    runs_on,
    word_of,
)
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError

_WHOLE = tuple(sign + f"int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64))
_FLOATS = ("float16", "float32", "float64", "bfloat16", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
_FLOATS8 = ("e3m4", "e4m3", "e4m3b11fnuz", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
_NAMES = (*_WHOLE, *_FLOATS, *(f"float8_{kind}" for kind in _FLOATS8))

Pairs = tuple[tuple[Any, Any], ...]


@dataclass(frozen=True)
class CastValue:
    """`scalar_map`: {"encode": [[from, to], ...], "decode": [[from, to], ...]}, which precedes all other rules."""

    names = ("cast_value",)
    ids = ()
    kind: ClassVar[Kind] = "array->array"

    data_type: str
    rounding: str = "nearest-even"
    out_of_range: str | None = None
    encode_map: Pairs = ()
    decode_map: Pairs = ()

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> CastValue:
        given = dict(configuration)
        maps = given.pop("scalar_map", None) or {}
        if not isinstance(maps, dict) or set(maps) - {"encode", "decode"}:
            raise MetadataError(f"codec 'cast_value': scalar_map takes encode and decode, not {maps!r}")
        return cls(**given, encode_map=_pairs(maps.get("encode")), decode_map=_pairs(maps.get("decode")))

    def __post_init__(self) -> None:
        name = self.data_type.get("name") if isinstance(self.data_type, dict) else self.data_type
        object.__setattr__(self, "data_type", name)
        if name not in _NAMES:
            raise MetadataError(f"codec 'cast_value': data_type must be a number's, not {name!r}")
        if self.rounding not in ROUNDINGS:
            raise MetadataError(f"codec 'cast_value': rounding must be one of {ROUNDINGS}, not {self.rounding!r}")
        beyond = self.out_of_range or "error"
        if beyond not in OUT_OF_RANGE:
            raise MetadataError(f"codec 'cast_value': out_of_range must be one of {OUT_OF_RANGE}, not {beyond!r}")
        object.__setattr__(self, "out_of_range", beyond)
        if self.out_of_range == "wrap" and name not in _WHOLE:
            raise MetadataError(f"codec 'cast_value': only integers wrap, not {name}")

    def encoded(self, spec: ChunkSpec) -> ChunkSpec:
        if spec.dtype.name not in _NAMES:
            raise MetadataError(f"codec 'cast_value' takes numbers, not {spec.dtype}")
        self._check_maps(spec.dtype)
        if spec.fill_value is None:
            return ChunkSpec(spec.shape, self._target())
        try:
            fill = self._cast(np.array([spec.fill_value], spec.dtype), self._target(), self.encode_map)[0]
        except CodecError as error:
            raise MetadataError(f"codec 'cast_value': fill value {spec.fill_value!r}: {error}") from error
        return ChunkSpec(spec.shape, self._target(), fill)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "decode")

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return why_host(self, spec, "encode")

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        before, after, pairs = spec.dtype, self._target(), self.encode_map
        if not (runs_on(before) and runs_on(after)):
            return None
        if direction == "decode":
            before, after, pairs = after, before, self.decode_map
        elif self.data_type not in _WHOLE and self.rounding != "nearest-even":
            return None
        made = self._cast_program(before, after)
        instructions, skip, kinds = made.instructions, len(made.instructions), (kind_of(before), kind_of(after))
        for old, new in reversed(pairs):
            first, second = (word_of(scalar(each, of, "cast_value"), of) for each, of in ((old, before), (new, after)))
            instructions = (Instruction(REPLACE, *kinds, first, second, skip), *instructions)
            skip += 1
        return Program(before, after, instructions)

    def _cast_program(self, before: np.dtype, after: np.dtype) -> Program:
        """What is done with elements that no map has: as `gpuzarr.cpu.casting` does it."""
        made, mode = Program.of(before), OUT_OF_RANGE.index(self.out_of_range or "error")
        beyond = f"cast_value: out of the range of {after.name}" if mode == 0 else None
        if before == after:
            return made
        if after.kind not in "iu":
            is_exact = before.kind in "iu" and after.itemsize == 8
            return made.converted(after) if is_exact else made.adding(TO_FLOAT, after, first=mode, problem=beyond)
        if before.kind in "iu":
            return made.adding(TO_NARROW, after, first=mode, problem=beyond)
        made = made.adding(REFUSE_NAN, problem=f"cast_value: NaN is no {after.name}")
        if self.out_of_range == "wrap":
            problem = f"cast_value: an infinite number does not wrap to {after.name}"
            made = made.adding(REFUSE_INFINITY, problem=problem)
        given = {"first": ROUNDINGS.index(self.rounding), "second": mode}
        return made.adding(TO_INTEGER, after, problem=beyond, **given)

    def decode(self, chunks: Any, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "decode"))
        return self._cast(native(chunks), spec.dtype, self.decode_map)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        if device.gpu:
            return gpu.cast.changed(device, chunks, self.program(spec, "encode"))
        if self.data_type not in _WHOLE and self.rounding != "nearest-even":
            raise UnsupportedError(f"codec 'cast_value': rounding {self.rounding!r} to {self.data_type}")
        return self._cast(native(chunks), self._target(), self.encode_map)

    def _check_maps(self, dtype: np.dtype) -> None:
        """Raise MetadataError where a map has a value that the dtype on its side does not have, as NaN of integers."""
        for pairs, old, new in ((self.encode_map, dtype, self._target()), (self.decode_map, self._target(), dtype)):
            for before, after in pairs:
                scalar(before, old, "cast_value")
                scalar(after, new, "cast_value")

    def _target(self) -> np.dtype:
        return dtype_of(self.data_type)

    def _cast(self, batch: np.ndarray, dtype: np.dtype, pairs: Pairs) -> np.ndarray:
        """Map the elements that `pairs` has, and cast all others. CodecError for the first bad chunk."""
        mapped = np.zeros(batch.shape, bool)
        places = []
        for old, new in pairs:
            found = _equal(batch, scalar(old, batch.dtype, "cast_value")) & ~mapped
            mapped |= found
            places.append((found, scalar(new, dtype, "cast_value")))
        rest = np.where(mapped, np.zeros((), batch.dtype), batch) if pairs else batch
        made = cast(rest, dtype, self.rounding, self.out_of_range or "error")
        for found, value in places:
            made[found] = value
        return made


def dtype_of(name: str) -> np.dtype:
    """The NumPy dtype of a Zarr data type that is a number."""
    if name in np.sctypeDict:
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def _equal(batch: np.ndarray, value: Any) -> np.ndarray:
    return batch != batch if value != value else batch == value  # NaN equals NaN here


def _pairs(entries: Any) -> Pairs:
    if entries is not None and not isinstance(entries, list):
        raise MetadataError(f"codec 'cast_value': a scalar_map is a list of pairs, not {entries!r}")
    if any(not isinstance(entry, list) or len(entry) != 2 for entry in entries or ()):
        raise MetadataError(f"codec 'cast_value': a scalar_map is a list of pairs, not {entries!r}")
    return tuple((old, new) for old, new in entries or ())


CODEC = CastValue
