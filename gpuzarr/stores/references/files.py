"""Files of other formats as stores, read in place: HDF5 and NetCDF4, NetCDF3, TIFF, GRIB.

Libraries that know a format say where its chunks lie: h5py, tifffile, kerchunk. What they say is kept while it is used.
"""

from __future__ import annotations

import os
from typing import Any

from gpuzarr.errors import GpuZarrWarning, StoreKindError, warn
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts import PartsStore
from gpuzarr.stores.references import foreign
from gpuzarr.stores.references.hdf5 import table_of
from gpuzarr.stores.references.reach import Reach, options_of, prefixes
from gpuzarr.stores.references.streams import Stream

HDF5 = b"\x89HDF\r\n\x1a\n"
MAGIC = {
    HDF5: "HDF5",
    **{b"CDF" + bytes([version]): "NetCDF3" for version in (1, 2, 5)},
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    b"GRIB": "GRIB",
}
MAX_HEAD_BYTES = 8
USER_BLOCKS = [512 << i for i in range(12)]  # offsets at which a file of HDF5 may begin, too
MAX_REASONS = 3


def format_of(store: Store, key: str) -> str | None:
    """The format of a file by its first bytes: "HDF5", "NetCDF3", "TIFF" or "GRIB"; None for others.

    StoreError where there is no file, or it cannot be read.
    """
    file = Stream.of(store, key)
    head = file.read(MAX_HEAD_BYTES)
    if (found := next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)) is not None:
        return found
    for offset in (each for each in USER_BLOCKS if each + MAX_HEAD_BYTES <= len(file)):
        file.seek(offset)
        if file.read(MAX_HEAD_BYTES) == HDF5:
            return "HDF5"
    return None


def store_of_file(thing: Any, key: str | None = None, *, allow: Any = None, storage_options: Any = None) -> PartsStore:
    """Make a store of a file of another format: its groups and datasets as those of Zarr, its chunks where they are.

    Parameters
    ----------
    thing
        The path of the file, or its URL; or a store, in which it lies at `key`.
    allow
        What links in a file of HDF5 may name beside the folder of the file: prefixes of paths and URLs.
    storage_options
        Options of the store that a URL names; and `allow`.

    Raises
    ------
    StoreKindError
        The file is of none of these formats.
    StoreError
        It cannot be read, or a library is missing; the message says what to install.

    Warns
    -----
    GpuZarrWarning
        Some datasets cannot be read; opening one says why.
    """
    options = options_of(storage_options)
    allowed = prefixes(allow) + prefixes(options.pop("allow", None))
    store, key = (thing, key) if key is not None else _object_of(thing, options)
    if (name := format_of(store, key)) is None:
        known = ", ".join(sorted(set(MAGIC.values())))
        raise StoreKindError(f"{key!r} of {store!r} is no file of a format that is known: {known}")
    if name != "HDF5":
        return PartsStore(foreign.table_of(store, key, name))
    table = table_of(store, key, Reach(store, key.rpartition("/")[0], allow=allowed))
    if table.refused:
        some = "; ".join(f"{path!r}: {reason}" for path, reason in list(table.refused.items())[:MAX_REASONS])
        warn(f"{len(table.refused)} members of {table!r} cannot be read ({some})", GpuZarrWarning)
    return PartsStore(table)


def _object_of(thing: Any, options: dict[str, Any]) -> tuple[Store, str]:
    from gpuzarr.stores.finding import locations

    return locations.object_of(os.fspath(thing), options)[:2]
