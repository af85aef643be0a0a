"""Keywords of functions: unknown ones are refused, and the older ones of zarr-python become parameters of today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpuzarr.checks import flag, listed, options, shown
from gpuzarr.errors import ArgumentError, GpuZarrWarning, ZarrRuntimeWarning, warn

PARAMETERS = (  # of `create_array`
    *("store", "name", "shape", "dtype", "data", "chunks", "shards", "filters", "compressors", "serializer"),
    *("fill_value", "order", "zarr_format", "attributes", "chunk_key_encoding", "dimension_names", "overwrite"),
    *("config", "write_data", "device", "storage_options"),
)
OLDER = (  # keywords that make arrays in zarr-python, too
    *("compressor", "codecs", "chunk_shape", "dimension_separator", "write_empty_chunks", "object_codec"),
    *("read_only", "chunk_store", "synchronizer", "cache_metadata", "cache_attrs", "meta_array"),
)
NEEDLESS = {  # keywords without effect, in zarr-python, too; and why
    "synchronizer": "chunks that are written in part are locked anyway",
    "cache_metadata": "an array keeps its metadata; open it again to see what others have changed",
    "cache_attrs": "a node keeps its attributes; open it again to see what others have changed",
    "meta_array": "`device` says where values are returned",
}
_SYNONYMS = {"path": "name", "name": "path", "compression": "compressors", "clobber": "overwrite", "data": "arr"}
MADE = set(PARAMETERS) - {"store", "name", "overwrite", "zarr_format", "device", "config", "storage_options"}
CREATED = {*PARAMETERS, *OLDER, "path", "mode"} - {"name"}  # keywords of `create`
OPENED = (  # keywords of the functions that open
    *(
        "path",
        "mode",
        "device",
        "zarr_format",
        "consolidated",
        "use_consolidated",
        "config",
        "memory_limit",
        "validate",
    ),
    *("io", "cache", "storage_options", "zarr_version"),
)
Given = dict[str, Any]


def known(function: str, given: Iterable[str], names: Iterable[str]) -> None:
    """Refuse keywords that a function does not take: an ArgumentError names the nearest that it takes."""
    names = set(names)
    if unknown := sorted(set(given) - names):
        from difflib import get_close_matches  # slow to import

        name = unknown[0]
        near = [_SYNONYMS[name]] if _SYNONYMS.get(name) in names else get_close_matches(name, sorted(names), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def own(function: str, given: Mapping[str, Any], **names: str) -> None:
    """Refuse keywords that a function gives itself: an ArgumentError says what to use instead, as `names` has it."""
    for name, instead in names.items():
        if name in given:
            raise ArgumentError(f"{function}() takes no keyword {name!r}: {instead}")


def needless(given: Given) -> None:
    """Take out the keywords that have no effect; a ZarrRuntimeWarning tells of those that have a value."""
    for name in NEEDLESS.keys() & given.keys():
        if given.pop(name) is not None:
            warn(f"{name} is not yet implemented, and has no effect: {NEEDLESS[name]}", ZarrRuntimeWarning)
    if given.pop("chunk_store", None) is not None:
        raise ArgumentError("chunk_store: chunks are stored beside the metadata of their array, in `store`")


def translated(older: Given, now: Given, zarr_format: int | None) -> Given:
    """The parameters `now` of `create_array` (codecs, chunks, their keys and `config`), with what older keywords say.

    ArgumentError for unknown keywords, for what cannot be done, and for what is said twice.
    """
    known("create_array", older, (*PARAMETERS, *OLDER))
    older, now = dict(older), dict(now)
    needless(older)
    if flag(older.pop("read_only", False), "read_only"):
        raise ArgumentError("read_only: a new array can be written; open it again with mode='r'")
    for name, value in older.items():
        if value is not None or name == "compressor":
            _TRANSLATIONS[name](value, now, zarr_format)
    return now


def _once(now: Given, name: str, older: str) -> None:
    value = now[name]
    if value is not None and not (isinstance(value, str) and value == "auto"):
        raise ArgumentError(f"give either {name} or {older}")


def _compressor(value: Any, now: Given, zarr_format: int | None) -> None:
    if isinstance(value, str) and value == "auto":
        return
    _once(now, "compressors", "compressor")
    if zarr_format != 2:
        warn("The `compressor` argument is deprecated. Use `compressors` instead.", GpuZarrWarning)
    now["compressors"] = () if value is None else (value,)


def _codecs(value: Any, now: Given, zarr_format: int | None) -> None:
    for name in ("filters", "serializer", "compressors"):
        _once(now, name, "codecs")
    if zarr_format == 2:
        raise ArgumentError("codecs is for Zarr v3: use filters and compressors, or zarr_format=3")
    now["codecs"] = tuple(listed(value))


def _chunk_shape(value: Any, now: Given, zarr_format: int | None) -> None:
    _once(now, "chunks", "chunk_shape")
    now["chunks"] = value


def _dimension_separator(value: Any, now: Given, zarr_format: int | None) -> None:
    _once(now, "chunk_key_encoding", "dimension_separator")
    if zarr_format != 2:
        raise ArgumentError(f"dimension_separator is for Zarr v2: use chunk_key_encoding=('default', {shown(value)})")
    now["chunk_key_encoding"] = ("v2", value)


def _write_empty_chunks(value: Any, now: Given, zarr_format: int | None) -> None:
    now["config"] = with_empty_chunks(now["config"], value)


def _object_codec(value: Any, now: Given, zarr_format: int | None) -> None:
    if zarr_format != 2:
        raise ArgumentError("object_codec is for Zarr v2: use serializer")
    filters = [] if isinstance(now["filters"], str) and now["filters"] == "auto" else listed(now["filters"])
    now["filters"] = [value, *filters]


def with_empty_chunks(config: Any, write_empty_chunks: Any) -> dict[str, Any]:
    """A `config` with the older keyword; it is that of an array, as `Writable.of` takes it."""
    text = "The `write_empty_chunks` keyword argument is deprecated: use config={'write_empty_chunks': ...}"
    warn(text, ZarrRuntimeWarning)
    found = config.to_dict() if hasattr(config, "to_dict") else config
    given = options({} if found is None else found, "config")
    return given | {"write_empty_chunks": flag(write_empty_chunks, "write_empty_chunks")}


_TRANSLATIONS = {
    "compressor": _compressor,
    "codecs": _codecs,
    "chunk_shape": _chunk_shape,
    "dimension_separator": _dimension_separator,
    "write_empty_chunks": _write_empty_chunks,
    "object_codec": _object_codec,
}
