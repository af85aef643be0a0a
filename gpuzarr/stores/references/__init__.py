"""References of kerchunk as stores: chunks are ranges of NetCDF, HDF5, TIFF, GRIB or any other files, read in place.

A document (JSON, also compressed) is a file; references in parquet are a folder with a `.zmetadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.parts import PartsStore
from gpuzarr.stores.references import document
from gpuzarr.stores.references.known import once
from gpuzarr.stores.references.parquet import ParquetTable
from gpuzarr.stores.references.reach import OPTIONS, Holders, Reach, normal, options_of, prefixes
from gpuzarr.stores.references.table import ReferenceTable


def store_of(store: Store, key: str, *, url: str = "", allow: Any = None, storage_options: Any = None) -> PartsStore:
    """Make a store of references that lie in a store: of the document at `key`, or of the folder of parquet there.

    Parameters
    ----------
    store, key
        Where the references are.
    url
        The URL of `store`, if it has one: references to what lies beside them are allowed by that, too.
    allow
        What references may reach beside the folder that they lie in: prefixes of URLs and of paths.
    storage_options
        Those of fsspec's file system "reference": `remote_protocol` and `remote_options` (how what the references name
        is opened), `template_overrides`; and `allow`. Other members are options of remote stores.

    Raises
    ------
    MetadataError
        The document is none, or has a feature that is not supported.
    StoreError
        It cannot be read. What it names is looked at when chunks are read: ReachError where that is not allowed.
    """
    options = options_of(storage_options)
    reach = _reach(store, key, url, allow, options)
    if store.get(f"{key}/.zmetadata" if key else ".zmetadata") is not None:
        return PartsStore(ParquetTable(store, key, reach, f"references {key!r} of {store!r}"))
    return PartsStore(_table(store, key, reach, options.get("template_overrides")))


def of_document(found: Mapping[str, Any], *, allow: Any = None, storage_options: Any = None) -> PartsStore:
    """Make a store of references in memory, as `json.load` gives them. Files that they name must be allowed."""
    options = options_of(storage_options)
    reach = _reach(None, "", "", allow, options)
    columns = document.parse(dict(found), "the references", options.get("template_overrides"))
    return PartsStore(ReferenceTable(columns, Holders(columns.urls, reach), "references in memory"))


def _reach(store: Store | None, key: str, url: str, allow: Any, options: dict[str, Any]) -> Reach:
    folder, overrides = key.rpartition("/")[0], options.get("template_overrides") or {}
    named = prefixes(allow) + prefixes(options.get("allow"))
    named += tuple(normal(text) for text in overrides.values() if isinstance(text, str) and "://" in text)
    remote = {name: value for name, value in options.items() if name not in OPTIONS}
    remote |= options.get("remote_options") or {}
    protocol = normal(f"{options.get('remote_protocol') or 'file'}://")[: -len("://")]
    home = "" if isinstance(store, LocalStore) or not url else f"{url.rstrip('/')}/{folder}".rstrip("/")
    return Reach(store, folder, home, named, protocol, remote)


def _table(store: Store, key: str, reach: Reach, overrides: Mapping[str, str] | None) -> ReferenceTable:
    """The table of a document, which is parsed once as long as it stays the same."""
    options = reach, sorted(reach.options.items()), overrides
    return once("references", store, key, options, partial(_parsed, store, key, reach, overrides))


def _parsed(
    store: Store, key: str, reach: Reach, overrides: Mapping[str, str] | None, version: object
) -> ReferenceTable:
    if (data := store.get(key)) is None:
        raise StoreError(f"there are no references at {key!r} of {store!r}")
    where = f"references {key!r} of {store!r}"
    columns = document.parse(document.load(data, where), where, overrides)
    return ReferenceTable(columns, Holders(columns.urls, reach), where, (_table, (store, key, reach, overrides)))
