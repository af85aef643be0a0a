"""A data type: its Zarr name, the NumPy dtype that holds it, and its fill values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.dtypes import fills, objects
from gpuzarr.errors import MetadataError, UnsupportedError

_FAMILIES = {
    "bool": "bool",
    "string": "string",
    "bytes": "bytes",
    "variable_length_bytes": "bytes",
    "binary": "bytes",
    "raw_bytes": "void",
    "null_terminated_bytes": "fixed_bytes",
    "fixed_length_utf32": "utf32",
    "numpy.datetime64": "time",
    "numpy.timedelta64": "time",
    "struct": "struct",
    "structured": "struct",
    "optional": "optional",
    "zarrs.optional": "optional",
    "object": "object",
    "subarray": "subarray",
}
MAX_ITEM_BYTES = 64 << 20  # of an element: a fill value is made of each type in a document
_NOT_IN_V3 = ("object", "subarray")


@dataclass(frozen=True)
class DataType:
    """A Zarr v3 data type. `dtype` holds it in memory, in native byte order.

    `configuration`: as in a v3 document (None for a record of v2). `fields`: the parts, each with a name and a data
    type: of a struct its fields; of a complex number `real` and `imag`; of an optional `value`; of a sub-array
    `element`.
    An optional is a record of a bool `valid` and a `value`, which is zero (or empty) where `valid` is not set.
    The names `object` (any Python object) and `subarray` (a field of a record) come from v2 only; v3 has none for them.
    UnsupportedError for elements of more than `MAX_ITEM_BYTES` bytes.
    """

    name: str
    dtype: np.dtype[Any]
    configuration: Any = field(default=None, hash=False)
    fields: tuple[tuple[str, DataType], ...] = ()

    def __post_init__(self) -> None:
        if self.dtype.itemsize > MAX_ITEM_BYTES:
            raise UnsupportedError(f"elements of {self.dtype.itemsize} bytes ({self.name}): more than {MAX_ITEM_BYTES}")

    @property
    def family(self) -> str:
        """The kind of its values, and so of its fill values: bool, int, float, complex, string, ..."""
        if self.name in _FAMILIES:
            return _FAMILIES[self.name]
        head = self.name.rstrip("0123456789")
        return {"int": "int", "uint": "int", "r": "void", "complex": "complex"}.get(
            head, "complex" if self.name.startswith("complex_") else "float"
        )

    @property
    def variable(self) -> bool:
        """Whether elements have no fixed size."""
        return self.dtype.hasobject or self.dtype.kind == "T"

    @property
    def has_order(self) -> bool:
        """Whether elements, or parts of them, have a byte order."""
        return _has_order(self.dtype)

    def to_native_dtype(self) -> np.dtype[Any]:
        """`dtype`, as zarr-python has it."""
        return self.dtype

    def to_json(self) -> str | dict[str, Any]:
        """The `data_type` of a v3 document. UnsupportedError where v3 has no name for it."""
        if self.name in _NOT_IN_V3 or any(part.name in _NOT_IN_V3 for _, part in self.fields):
            raise UnsupportedError(f"Zarr v3 has no data type for {self.dtype}")
        if self.family == "struct" and self.configuration is None:
            parts = [{"name": name, "data_type": part.to_json()} for name, part in self.fields]
            return {"name": self.name, "configuration": {"fields": parts}}
        return {"name": self.name, "configuration": self.configuration} if self.configuration else self.name

    def default_fill(self) -> Any:
        """The value of `null` in v2: zero, "", b"", NaT; None for objects and optionals."""
        if self.family in ("string", "bytes", "object"):
            return {"string": "", "bytes": b"", "object": None}[self.family]
        if self.family == "time":
            return np.array(np.iinfo(np.int64).min).view(self.dtype)[()]
        return objects.zeros((1,), self.dtype)[0]

    def fill_from_json(
        self, value: Any, zarr_format: int = 3, stored: np.dtype[Any] | None = None, lenient: bool = False
    ) -> Any:
        """Parse a fill value from JSON: a NumPy scalar of `dtype`, a str, bytes, or a Python object.

        `stored` is the dtype in a v2 file, with its byte orders; base64 of a record is in that form.
        `lenient`, always so for version 2: other spellings that mean a value of this type are taken, too, such as
        numbers as text, or 0 for a bool. MetadataError for a value that is not of this type.
        """
        if value is None and zarr_format == 2:
            return self.default_fill()
        try:
            return self._from_json(value, lenient or zarr_format == 2, stored)
        except MetadataError:
            raise
        except (TypeError, ValueError, OverflowError, KeyError, IndexError) as error:
            raise MetadataError(f"fill value {shown(value)} is none of data type {self.name!r}: {error}") from error

    def fill_to_json(self, value: Any, zarr_format: int = 3, stored: np.dtype[Any] | None = None) -> Any:
        """Format a fill value as JSON (without bare NaN or Infinity) that `fill_from_json` parses to the same value.

        To the same bytes in v3; NaN of v2 has no sign and no payload.
        """
        if self.family == "complex":
            parts = np.asarray(value, self.dtype).reshape(1).view(self.fields[0][1].dtype)
            return [self.fields[0][1].fill_to_json(part, zarr_format) for part in parts]
        if self.family == "optional":
            return [self.fields[0][1].fill_to_json(value["value"])] if value["valid"] else None
        if self.family == "struct" and (zarr_format == 2 or self.name == "structured"):  # as zarr-python before 3.2
            stored = stored or (self.dtype if zarr_format == 2 else self.dtype.newbyteorder("<"))
            return fills.base64_of(np.asarray(value, self.dtype).astype(stored).tobytes())
        if self.family == "struct":
            return {name: part.fill_to_json(value[name]) for name, part in self.fields}
        return fills.to_json(self.family, self.name, self.dtype, value, zarr_format)

    def _from_json(self, value: Any, lenient: bool, stored: np.dtype[Any] | None) -> Any:
        if self.family == "complex":
            return self._complex(value, lenient)
        if self.family == "optional":
            return self._optional(value)
        if self.family == "struct":
            return self._struct(value, lenient, stored)
        if self.family == "subarray":
            element = self.fields[0][1].fill_from_json(value, lenient=lenient)
            return np.full(self.dtype.shape, element, self.dtype.base)
        return fills.from_json(self.family, self.name, self.dtype, value, lenient)

    def _complex(self, value: Any, lenient: bool) -> Any:
        pair = [value, 0] if lenient and isinstance(value, int | float) else value
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError("a complex number is a list of two")
        parts = [part.fill_from_json(half, lenient=lenient) for (_, part), half in zip(self.fields, pair, strict=True)]
        return np.frombuffer(b"".join(part.tobytes() for part in parts), self.dtype)[0]

    def _optional(self, value: Any) -> Any:
        result = objects.zeros((1,), self.dtype)
        if value is not None:
            if not isinstance(value, list | tuple) or len(value) != 1:
                raise TypeError("an optional is null, or a list of one")
            result["value"][0], result["valid"][0] = self.fields[0][1].fill_from_json(value[0]), True
        return result[0]

    def _struct(self, value: Any, lenient: bool, stored: np.dtype[Any] | None) -> Any:
        if isinstance(value, str):
            stored = self.dtype.newbyteorder("<") if stored is None else stored
            return np.frombuffer(fills.from_base64(value, stored.itemsize, lenient), stored).astype(self.dtype)[0]
        if lenient and value == 0:
            return self.default_fill()
        if not isinstance(value, dict) or not (lenient or set(value) <= {name for name, _ in self.fields}):
            raise TypeError("a record is an object with a value for each field")
        result = np.zeros(1, self.dtype)
        for name, part in self.fields:
            found = part.fill_from_json(value[name], lenient=lenient) if name in value else part.default_fill()
            result[name][0] = found
        return result[0]


def _has_order(dtype: np.dtype[Any]) -> bool:
    if dtype.names is not None:
        return any(_has_order(dtype[name].base) for name in dtype.names)
    return dtype.itemsize > 1 and (dtype.kind not in "SV" or dtype.isbuiltin == 2)
