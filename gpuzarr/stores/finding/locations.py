"""Stores of paths and of URLs, each by its scheme and by what lies there. For pipelines of URLs see `pipelines.py`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakValueDictionary

from gpuzarr.errors import NotFoundError, StoreError, StoreKindError
from gpuzarr.per_process import PerProcess
from gpuzarr.stores import memory
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import recognise, urls
from gpuzarr.stores.finding.urls import OBJECT_SCHEMES
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore

ACCEPTED = "a path (str or pathlib.Path), a URL, a Mapping from keys to bytes, or a store of another library"
CACHES = {"simplecache", "filecache", "blockcache", "cached"}  # protocols of fsspec
DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
Options = dict[str, Any]
Access = Literal["r", "r+", "a"]


@dataclass(frozen=True)
class How:
    """How a place is opened: with which `storage_options`; to read ("r"), to change ("r+"), or also to make it ("a").

    `access` matters for archives; what other stores can do is found out when it is asked of them.
    """

    options: Options = field(default_factory=dict)
    access: Access = "r"


def store_of(text: str, how: How) -> Store:
    """Store for a URL, or for a path of this machine."""
    if _is_chain(text):
        way = recognise.way_of_name(urls.name_of(text)) if _is_cached(text) else ""
        return WAYS[way](text, how) if way else by_fsspec(text, how.options)
    scheme = urls.scheme(text)
    if scheme == "memory":
        _no_options(text, how.options)
        return MappingStore(memory.of_url(text))
    if scheme is None or scheme in ("file", "local"):
        path = urls.path_of(text)
        return of_path(text if path is None else path, how)
    way = recognise.way_of_name(urls.name_of(text))
    return WAYS[way](text, how) if way else place(text, how.options)


def of_path(path: str, how: How, is_path: bool = False) -> Store:
    """Store for a path of this machine: of what lies there, or, where nothing does, of what will."""
    name = os.path.basename(path.rstrip("/"))
    if os.path.isdir(path):
        if way := recognise.way_of_folder(path):
            return WAYS[way](path, how)
    elif os.path.lexists(path):
        return WAYS[_way_of_file(path, name)](path, how)
    elif (way := recognise.way_of_name(name)) == "zip":
        return WAYS[way](path, how)
    elif way in ("file", "references"):
        raise NotFoundError(f"there is no file {path!r}; a new Zarr store is a folder or a zip, with another name")
    else:
        from gpuzarr.stores.finding import spelling

        if (hint := spelling.hint(path, is_path)) is not None:
            raise StoreKindError(f"there is no {path!r}: {hint}")
    _no_options(path, how.options)
    return LocalStore(path)


def _way_of_file(path: str, name: str) -> recognise.Way:
    """How a file is read as a store. StoreKindError, which says what it is, where it is not."""
    if name in DOCUMENTS:
        folder = os.path.dirname(path) or "."
        raise StoreKindError(f"{path!r} is a document of a Zarr node: the node is its folder, {folder!r}")
    found = recognise.of_file(path)
    by_name = recognise.way_of_name(name)
    way = by_name if found is None or found.advice == recognise.UNPACK else found.way
    if not way:
        what = f"is {found}" if found is not None and found.advice else "is a file"
        raise StoreKindError(f"{path!r} {what} (a Zarr store is a folder or a zip; a store is {ACCEPTED})")
    return way


def place(url: str, options: Options) -> Store:
    """Store for all that lies below a URL, whatever its name: of an object store, a web server, or by fsspec."""
    from gpuzarr.stores.remote.store import RemoteStore

    scheme = urls.scheme(url) or ""
    if scheme not in OBJECT_SCHEMES:
        return by_fsspec(url, options)
    from gpuzarr.stores.remote.obstore_client import of_url
    from gpuzarr.stores.remote.options import translated

    if not url.partition("://")[2].strip("/"):
        raise StoreKindError(f"{url!r} names no {'host' if OBJECT_SCHEMES[scheme] == 'http' else 'bucket'}")
    return RemoteStore(of_url(*translated(url, options)))


def by_fsspec(url: str, options: Options, missing: Sequence[type[Exception]] = ()) -> Store:
    """Store for a URL of a protocol, or a chain of protocols, that fsspec knows. `missing`: see `FsspecClient`."""
    scheme = url.partition(":")[0].lower()
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise StoreKindError(f"{urls.shown(url)!r} needs fsspec: pip install fsspec; {_unknown(scheme)}") from error
    try:
        fs, root = url_to_fs(url, **options)
    except ImportError as error:
        raise StoreKindError(f"{urls.shown(url)!r} needs another package: {error}") from error
    except ValueError as error:
        if "rotocol" not in str(error):
            raise StoreError(f"fsspec cannot open {urls.shown(url)!r}: {error}") from error
        raise StoreKindError(f"no store for {urls.shown(url)!r}: {_unknown(scheme)}") from error
    except TypeError as error:
        raise StoreKindError(f"fsspec takes no {urls.shown(url)!r} with such storage_options: {error}") from error
    except Exception as error:
        raise StoreError(f"fsspec cannot open {urls.shown(url)!r}: {error}") from error
    return of_file_system(fs, root, url, missing)


def of_file_system(fs: Any, path: str, url: str = "", missing: Sequence[type[Exception]] = ()) -> Store:
    """Store for the files below a path of a file system of fsspec; `url` names the place in messages."""
    from gpuzarr.stores.remote.fsspec_client import FsspecClient, local_folder
    from gpuzarr.stores.remote.store import RemoteStore

    if (folder := local_folder(fs, path)) is not None:
        return LocalStore(folder or "/")
    return RemoteStore(FsspecClient.of(fs, path, url, missing))


def is_known(scheme: str) -> bool:
    """True for the scheme of a URL that this library or fsspec takes."""
    if scheme in OBJECT_SCHEMES or scheme in ("file", "local", "memory"):
        return True
    try:
        from fsspec import available_protocols, registry
    except ImportError:
        return False
    return scheme in available_protocols() or scheme in registry


def _unknown(scheme: str) -> str:
    from gpuzarr.stores.finding import spelling

    near = spelling.of_scheme(scheme)
    hint = f"; did you mean {near}://?" if near else ""
    return f"nobody knows the scheme {scheme!r}{hint} (a store is {ACCEPTED})"


def _is_chain(text: str) -> bool:
    """True for a chain of fsspec, such as "simplecache::s3://b/a": a protocol, and maybe a path, before "::"."""
    return "::" in text and urls.scheme(text) is None and is_known(text.partition("::")[0].partition("://")[0])


def _is_cached(text: str) -> bool:
    """True for a chain that only says how what its last part names is kept on this machine."""
    *before, _ = text.split("::")
    return CACHES.issuperset(before)


def _no_options(text: str, options: Options) -> None:
    if options:
        names = ", ".join(map(repr, sorted(map(str, options))))
        raise StoreKindError(f"storage_options ({names}) are for URLs of other machines, and {text!r} is here")


def object_of(text: str, options: Options) -> tuple[Store, str, str]:
    """The store around an object that a URL or a path names, its key, and the URL of the store ("": a folder)."""
    if (scheme := urls.scheme(text)) in (None, "file", "local") and not _is_chain(text):
        path = os.path.abspath(urls.path_of(text) or text)
        return LocalStore(os.path.dirname(path)), os.path.basename(path), ""
    before, mark, query = text.partition("?")
    around, _, key = before.rstrip("/").rpartition("/")
    options = {name: value for name, value in options.items() if name != "allow"}
    if around.endswith("/") or not key:
        raise StoreKindError(f"{urls.shown(text)!r} names a whole {scheme} place, where an object is needed")
    if scheme == "memory":
        return store_of(around, How()), key, around
    from urllib.parse import unquote

    if scheme is None:
        return by_fsspec(around, options), key, around
    return place(around + mark + query, options), unquote(key) if scheme in OBJECT_SCHEMES else key, around


# what lies there, by its name or its bytes


def _zip(text: str, how: How) -> Store:
    return zip_of(*object_of(text, how.options)[:2], how)


def zip_of(store: Store, key: str, how: How) -> Store:
    """Store for a zip archive that is an object of a store. One that this process writes is the same store for all."""
    from gpuzarr.stores.zip import ZipStore

    if not isinstance(store, LocalStore):
        return ZipStore.of(store, key)
    if (why := store.why_no_key(key)) is not None:
        raise StoreError(f"there can be no archive {key!r} of {store!r}: {why}")
    path = os.path.realpath(store.path(key))
    with (archives := _ARCHIVES.value).lock:
        held = archives.written.get(path)
        if held is None or held.why_read_only([""]) is not None:
            if how.access == "r" or (how.access == "r+" and not os.path.exists(path)):
                return ZipStore(path)
            archives.written[path] = held = ZipStore(path, mode="a")
    return held.with_read_only(True) if how.access == "r" else held


class _Archives:
    """Archives that this process writes, by their paths: who opens one meanwhile sees what is not complete yet."""

    def __init__(self) -> None:
        self.written: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.lock = threading.Lock()


_ARCHIVES = PerProcess(_Archives)


def _references(text: str, how: How) -> Store:
    from gpuzarr.stores import references
    from gpuzarr.stores.references.reach import OPTIONS

    own = {name: value for name, value in how.options.items() if name not in OPTIONS}
    around, key, url = object_of(text, {**own, **(how.options.get("target_options") or {})})
    return references.store_of(around, key, url=url, storage_options=how.options)


def _file(text: str, how: How) -> Store:
    from gpuzarr.stores.references.files import store_of_file

    return store_of_file(*object_of(text, how.options)[:2], allow=how.options.get("allow"))


def _icechunk(text: str, how: How) -> Store:
    return icechunk_of(text, how.options)


def icechunk_of(text: str, options: Options, **version: str) -> Store:
    """Store for a version of the Icechunk repository at a path or a URL: `branch`, `tag` or `snapshot`."""
    from gpuzarr.stores.icechunk import of_location
    from gpuzarr.stores.remote.options import translated

    where = urls.path_of(text) or text
    if urls.scheme(where) in OBJECT_SCHEMES:
        where, options = translated(where, options)
    return of_location(where, **version, storage_options=options)


WAYS: dict[str, Callable[[str, How], Store]] = {
    "zip": _zip,
    "references": _references,
    "file": _file,
    "icechunk": _icechunk,
}
