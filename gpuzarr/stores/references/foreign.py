"""References of files of NetCDF3, TIFF and GRIB, as kerchunk and tifffile make them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gpuzarr.errors import GpuZarrError, StoreError, UnsupportedError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.parts import Table
from gpuzarr.stores.references.decoded import DecodedTable, without_unknown_codecs
from gpuzarr.stores.references.document import Columns, parse
from gpuzarr.stores.references.known import once
from gpuzarr.stores.references.streams import Stream
from gpuzarr.stores.references.table import ReferenceTable

References = dict[str, Any]
CDF5 = b"CDF\5"
INSTALL = {
    "NetCDF3": "pip install kerchunk scipy",
    "TIFF": "pip install tifffile imagecodecs zarr",
    "GRIB": "pip install kerchunk cfgrib eccodes",
}


def table_of(store: Store, key: str, kind: str) -> Table:
    """The table of a file, made once for each version of it. StoreError where the libraries fail."""
    return once(kind, store, key, None, partial(_made, store, key, kind))


def _made(store: Store, key: str, kind: str, version: Any) -> Table:
    name = f"{key!r} of {store!r}"
    try:
        found = parse(READERS[kind](store, key), name)
    except GpuZarrError:
        raise
    except ImportError as error:
        raise StoreError(f"{name} is a file of {kind}, which needs {INSTALL[kind]} ({error})") from error
    except Exception as error:  # of libraries' own classes
        problem = f"{type(error).__name__}: {error}"
        raise StoreError(f"no references can be made of {name}, a file of {kind}: {problem}") from error
    if len(found.urls) > 1:
        raise StoreError(f"{name}, a file of {kind}, has parts in other files: {', '.join(found.urls[:3])}")
    source = table_of, (store, key, kind)
    plain, decoders = without_unknown_codecs(_of_one(found))
    table = ReferenceTable(plain, [(store, key)], name, source, version)
    return DecodedTable(table, decoders, source, version) if decoders else table


def _of_one(found: Columns) -> Columns:
    """The columns without the name of the file, which libraries spell in their own ways."""
    return Columns(found.keys, found.holders, found.offsets, found.sizes, [""], found.inline)


def _netcdf3(store: Store, key: str) -> References:
    from kerchunk.netCDF3 import NetCDF3ToZarr

    if Stream.of(store, key).read(4) == CDF5:
        raise UnsupportedError(
            f"{key!r} of {store!r} is of NetCDF with 64-bit data (CDF-5), which kerchunk does not read"
        )
    found: References = NetCDF3ToZarr(_path(store, key, "NetCDF3"), inline_threshold=0).translate()
    return found


def _tiff(store: Store, key: str) -> References:
    import tifffile

    with suppress(ImportError):
        from imagecodecs.numcodecs import register_codecs

        register_codecs(verbose=False)
    stream: Any = Stream.of(store, key)
    with tifffile.TiffFile(stream, name=os.path.basename(key)) as file:
        if not file.series:
            raise StoreError(f"{key!r} of {store!r} is a file of TIFF without images")
        if len(file.series) == 1:
            return _series(file.series[0], "")
        found: References = {".zgroup": '{"zarr_format": 2}'}
        for number, series in enumerate(file.series):
            found |= _series(series, str(number))
        return found


def _series(series: Any, name: str) -> References:
    """The references of one series of images, at a path of this name."""
    text = io.StringIO()
    with series.aszarr() as images:
        images.write_fsspec(text, url="", groupname=name or None)
    found: References = json.loads(text.getvalue())
    if name:
        found.pop(".zgroup", None)
    return found


def _grib(store: Store, key: str) -> References:
    from kerchunk.grib2 import grib_tree, scan_grib

    messages = scan_grib(_path(store, key, "GRIB"))
    found: References = messages[0] if len(messages) == 1 else grib_tree(messages)
    return found


def _path(store: Store, key: str, kind: str) -> str:
    if not isinstance(store, LocalStore):
        raise StoreError(f"{key!r} of {store!r} is a file of {kind}, which is read from a local disk only: copy it")
    return os.path.join(store.folder, key)


READERS: dict[str, Callable[[Store, str], References]] = {"NetCDF3": _netcdf3, "TIFF": _tiff, "GRIB": _grib}
