"""Make a store of what users pass: a path, a URL, a Mapping, a store of this or another library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.checks import zarr_format as checked_format
from gpuzarr.errors import ArgumentError, StoreKindError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import locations, urls
from gpuzarr.stores.finding.locations import ACCEPTED, Access, How, Options, of_file_system
from gpuzarr.stores.finding.recognise import libraries, way_of_name
from gpuzarr.stores.mapping import MappingStore
from gpuzarr.stores.path import StorePath, below


def store(thing: Any, storage_options: Any = None, access: Access = "r") -> Store:
    """Store for a path, a URL, a Mapping, or a store of any library that is known here. None: a new dict.

    `storage_options`: a dict of options for what is reached by a URL. `access`: how archives are opened
    (see `How`). StoreKindError for anything else, and for options that nothing would use.
    """
    how = How(_options(storage_options), access)
    options = how.options
    if isinstance(thing, str):
        return _of_text(thing, how)
    if isinstance(thing, StorePath):
        return below(store(thing.store, options, access), thing.path)
    if (make := next((make for is_of, make in _OF_OTHERS if is_of(thing)), None)) is not None:
        return make(thing, how)
    if thing is None or isinstance(thing, Mapping):
        if type(thing) is dict and isinstance(thing.get("refs"), dict):
            from gpuzarr.stores import references

            return references.of_document(thing, storage_options=options)
        _no_options(thing, options)
        return MappingStore({} if thing is None else thing)
    if hasattr(thing, "store_path"):  # it has names of methods of a store, too
        raise StoreKindError(f"{thing!r} is a node, not a store: give its store_path")
    if all(hasattr(thing, name) for name in ("get", "open", "names")):
        _no_options(thing, options)
        known: Store = thing
        return known
    path = os.fspath(thing) if isinstance(thing, os.PathLike) else None
    if not isinstance(path, str):
        raise StoreKindError(f"a store is {ACCEPTED}; not {type(thing).__name__}")
    return locations.of_path(path, how, is_path=True)


def wanted_format(thing: Any, zarr_format: Any) -> Any:
    """The version of Zarr that is asked for: by a parameter, or by the end of a URL (`|zarr2:`, `|zarr3:`), or None."""
    zarr_format, by_url = checked_format(zarr_format), urls.format_of(thing)
    if None not in (by_url, zarr_format) and by_url != zarr_format:
        raise ArgumentError(f"zarr_format={zarr_format}, and {urls.shown(thing)!r} is of Zarr v{by_url}")
    return by_url or zarr_format


def _options(given: Any) -> Options:
    if given is not None and not isinstance(given, Mapping):
        raise StoreKindError(f"storage_options must be a dict, not {shown(given)}")
    if any(not isinstance(name, str) for name in given or {}):
        raise StoreKindError("the names of storage_options must be texts")
    return dict(given or {})


def _no_options(thing: Any, options: Options) -> None:
    if options:
        raise StoreKindError(f"storage_options are for URLs, and a {type(thing).__name__} takes none")


def _of_text(text: str, how: How) -> Store:
    text = _as_pipeline(text, how.options)
    if "|" in text:
        from gpuzarr.stores.finding import pipelines

        return pipelines.store_of(text, how)
    if (scheme := urls.scheme(text)) and not locations.is_known(scheme):
        from gpuzarr.stores.finding import url_adapters

        if (adapter := url_adapters.find(scheme)) is not None:
            return url_adapters.store_of(adapter, urls.parsed(text), -1, how.options)
    return locations.store_of(text, how)


def _as_pipeline(text: str, options: Options) -> str:
    """A chain of fsspec that is a zip and a place, `zip://path::s3://b/a.zip`, as a pipeline: `s3://b/a.zip|zip:path`.

    Its options are those of fsspec's file systems by their names; those of the place are taken out of that.
    """
    first, found, rest = text.partition("::")
    if not found or "::" in rest or "|" in text or first.partition("://")[0] != "zip":
        return text
    scheme = urls.scheme(rest) or "file"
    if set(options) - {scheme, "zip"}:
        return text
    mine = dict(options.get(scheme) or {})
    options.clear()
    options.update(mine)
    return f"{rest}|zip:{first.partition('://')[2]}"


# things of other libraries


def is_of_zarr(thing: Any) -> bool:
    """Return True for a store, a path in a store, an array or a group of zarr-python, also of a class made from one."""
    return "zarr" in libraries(thing)


def _of_zarr(thing: Any, how: How) -> Store:
    from gpuzarr.stores import zarr_python

    _no_options(thing, how.options)
    return zarr_python.store_of(thing)


def _of_icechunk(thing: Any, how: How) -> Store:
    from gpuzarr.stores import icechunk

    _no_options(thing, how.options)
    return icechunk.store_of(thing)


def _of_obstore(thing: Any, how: How) -> Store:
    from gpuzarr.stores.remote.obstore_stores import store_of

    _no_options(thing, how.options)
    return store_of(thing)


def _is_of_fsspec(thing: Any) -> bool:
    if "fsspec" not in libraries(thing) and not hasattr(thing, "cat_ranges"):
        return False
    from gpuzarr.stores.remote import fsspec_client

    return fsspec_client.is_mapper(thing) or fsspec_client.is_file_system(thing)


def _of_fsspec(thing: Any, how: How) -> Store:
    """The store of a mapper; or of all files of a file system, in which nodes have paths with a bucket or a host."""
    from gpuzarr.stores.remote import fsspec_client

    _no_options(thing, how.options)
    if fsspec_client.is_mapper(thing):
        return of_file_system(thing.fs, thing.root, missing=getattr(thing, "missing_exceptions", ()))
    return of_file_system(thing, "/" if fsspec_client.LOCAL & set(fsspec_client.protocols(thing)) else "")


def _of_upath(thing: Any, how: How) -> Store:
    _no_options(thing, how.options)
    if str(thing.protocol) in ("", "file", "local"):
        return locations.of_path(os.fspath(thing), how, is_path=True)
    folder, _, name = thing.path.rpartition("/")
    if way_of_name(name) == "zip":
        return locations.zip_of(of_file_system(thing.fs, folder), name, how)
    return of_file_system(thing.fs, thing.path)


_OF_OTHERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, How], Store]], ...] = (
    (is_of_zarr, _of_zarr),
    (lambda thing: "icechunk" in libraries(thing), _of_icechunk),
    (lambda thing: "obstore" in libraries(thing), _of_obstore),
    (lambda thing: "upath" in libraries(thing), _of_upath),
    (_is_of_fsspec, _of_fsspec),
)
