"""What a dataset of HDF5 holds, as documents of Zarr v2: data types, fill values, attributes, filters."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.formats import hdf5_bitshuffle, lz4h5, lzf

Document = dict[str, Any]
NOT_ATTRIBUTES = frozenset(
    (
        "CLASS",
        "NAME",
        "DIMENSION_LIST",
        "REFERENCE_LIST",
        "_Netcdf4Dimid",
        "_Netcdf4Coordinates",
        "_nc3_strict",
        "_NCProperties",
    )
)  # that HDF5's dimension scales and NetCDF keep for themselves
_BLOSC_COMPRESSORS = "blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"
_DEFLATE, _SHUFFLE, _FLETCHER32, _BZIP2 = 1, 2, 3, 307  # filters
_LZF, _BLOSC, _LZ4, _BITSHUFFLE, _ZSTD = 32000, 32001, 32004, 32008, 32015
_OF_BITSHUFFLE = {0: "none", 2: "lz4", 3: "zstd"}


class Refused(Exception):
    """A dataset cannot be read as an array of Zarr; the message says why."""


def type_of(dataset: Any) -> tuple[Any, list[Document], bool]:
    """The `dtype` of a dataset in Zarr v2; filters that encode its objects; whether its stored bytes are of that type.

    Refused for types that Zarr has no name for.
    """
    import h5py

    dtype, kind = dataset.dtype, dataset.id.get_type()
    if (text := h5py.check_string_dtype(dtype)) is not None and text.length is None:
        return "|O", [{"id": "vlen-utf8"}], False
    if (element := h5py.check_vlen_dtype(dtype)) is not None:
        if not isinstance(element, np.dtype) or element.hasobject or element.names:
            raise Refused(f"sequences of {element}")
        return "|O", [{"id": "vlen-array", "dtype": element.newbyteorder("<").str}], False
    if h5py.check_ref_dtype(dtype) is not None:
        raise Refused("references to objects, which mean nothing outside of the file")
    if dtype.hasobject:
        raise Refused(f"records with members of variable length ({dtype})")
    if dtype.subdtype is not None:
        raise Refused(f"elements that are arrays ({dtype})")
    return descr(dtype), [], _is_as_stored(kind, dtype)


def _is_as_stored(kind: Any, dtype: np.dtype[Any]) -> bool:
    """Return True if the stored bytes of elements are those of NumPy's type, and not converted by HDF5."""
    from h5py import h5t

    if kind.get_class() == h5t.ENUM and dtype.kind in "iu":
        return bool(h5t.py_create(np.dtype(dtype.str)).equal(kind.get_super()))
    if kind.get_class() == h5t.STRING and kind.get_size() == 1:
        return kind.get_strpad() != h5t.STR_SPACEPAD
    is_packed = packed(dtype).itemsize == dtype.itemsize
    return is_packed and (
        (dtype.kind == "V" and dtype.names is None) or bool(h5t.py_create(dtype, logical=True).equal(kind))
    )


def descr(dtype: np.dtype[Any]) -> Any:
    """A dtype as Zarr v2 spells it, its records without padding. Refused where Zarr v2 has no name for it."""
    if dtype.names is not None:
        return [_member(name, dtype[name]) for name in dtype.names]
    if (
        dtype.kind not in "?biufcSVM"
        or (dtype.kind == "f" and dtype.itemsize > 8)
        or (dtype.kind == "c" and dtype.itemsize > 16)
    ):
        raise Refused(f"elements of type {dtype}")
    if dtype.kind == "V" and dtype.isbuiltin != 0:  # a type of ml_dtypes
        raise Refused(f"elements of type {dtype}")
    return dtype.str


def _member(name: str, dtype: np.dtype[Any]) -> list[Any]:
    return [name, descr(dtype)] if dtype.subdtype is None else [name, descr(dtype.base), list(dtype.shape)]


def packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A dtype whose records have no padding."""
    if dtype.names is None:
        return np.dtype((packed(dtype.base), dtype.shape)) if dtype.subdtype is not None else dtype
    return np.dtype([(name, packed(dtype[name])) for name in dtype.names])


def fill_of(dataset: Any) -> Any:
    """The fill value of a dataset as JSON of Zarr v2. null for zeros, unless an attribute says that they are fills:
    programs that know conventions of NetCDF take a fill value as a mark of what is missing."""
    if dataset.dtype.hasobject:
        return None
    value = np.asarray(dataset.fillvalue)
    if not any(value.tobytes()) and "_FillValue" not in dataset.attrs:
        return None
    return as_fill(value.astype(packed(value.dtype)))


def as_fill(value: np.ndarray) -> Any:
    """A fill value as JSON of Zarr v2."""
    if value.dtype.kind in "SV":
        return b64encode(value.tobytes()).decode()
    if value.dtype.kind == "c":
        return [_number(float(value.real)), _number(float(value.imag))]
    if value.dtype.kind == "M":
        return int(value.view(np.int64))
    return _number(value.item())


def _number(value: Any) -> Any:
    if not isinstance(value, float) or np.isfinite(value):
        return value
    return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def attributes_of(thing: Any) -> Document:
    """The attributes of a dataset or a group that JSON can hold; references and empty ones are left out."""
    found = {}
    for name in thing.attrs:
        if name in NOT_ATTRIBUTES:
            continue
        try:
            value = thing.attrs[name]
        except (OSError, TypeError, ValueError, KeyError):  # of a type that h5py does not read
            continue
        if (plain := _plain(value)) is not None:
            found[name] = plain
    return found


def _plain(value: Any) -> Any:
    """A value as JSON; None where it has none. Arrays of one element are that, as NetCDF has no others."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "V":
        value = value.reshape(-1)[0] if value.size == 1 else value.tolist()
    if isinstance(value, list):
        members = [_plain(each) for each in value]
        return None if any(each is None for each in members) else members
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return _text(value)
    return value if isinstance(value, str | int | float) else None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def filters_of(dataset: Any) -> list[Document] | None:
    """The filters of chunks as codecs of Zarr v2, in the order of encoding; None if Zarr lacks one of them."""
    pipeline = dataset.id.get_create_plist()
    found = []
    for i in range(pipeline.get_nfilters()):
        number, _, values, _ = pipeline.get_filter(i)
        try:
            found.append(_CODECS[number](values))
        except (KeyError, IndexError, ValueError):
            return None
    return found


def why_unreadable(dataset: Any) -> str | None:
    """Say which filter of a dataset h5py lacks; None if it has all."""
    from h5py import h5z

    pipeline = dataset.id.get_create_plist()
    for i in range(pipeline.get_nfilters()):
        number, _, _, name = pipeline.get_filter(i)
        if not h5z.filter_avail(number):
            return f"the filter {number} ({_text(name)}), which h5py lacks: pip install hdf5plugin"
    return None


def _blosc(values: tuple[int, ...]) -> Document:
    _, _, typesize, _, level, shuffle, compressor = values[:7]
    name = _BLOSC_COMPRESSORS[compressor]
    return {"id": "blosc", "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0, "typesize": typesize}


def _bitshuffle(values: tuple[int, ...]) -> Document:
    _, _, elementsize, elements = values[:4]
    compressor = _OF_BITSHUFFLE[values[4] if len(values) > 4 else 0]
    return {
        "id": hdf5_bitshuffle.NAME,
        "elementsize": elementsize,
        "block_elements": elements,
        "cname": compressor,
    }


_CODECS: dict[int, Callable[[tuple[int, ...]], Document]] = {
    _DEFLATE: lambda values: {"id": "zlib", "level": values[0]},
    _SHUFFLE: lambda values: {"id": "shuffle", "elementsize": values[0]},
    _FLETCHER32: lambda values: {"id": "fletcher32"},
    _BZIP2: lambda values: {"id": "bz2", "level": values[0] if values else 9},
    _LZF: lambda values: {"id": lzf.NAME, "header": False},
    _BLOSC: _blosc,
    _LZ4: lambda values: {"id": lz4h5.NAME, "level": None, "blocksize": values[0] if values else 0},
    _BITSHUFFLE: _bitshuffle,
    _ZSTD: lambda values: {"id": "zstd", "level": values[0] if values else 3},
}
