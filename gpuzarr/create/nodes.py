"""Nodes put into a store. Who creates holds the lock of the node's metadata, so of two who race the second finds
what the first made: the same is welcome, another is an ExistsError.

With `overwrite` all that was there goes before the new metadata takes its place, so that no chunk of the old array
is ever one of the new.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.errors import ExistsError, NotFoundError
from gpuzarr.metadata import ArrayMetadata, files
from gpuzarr.metadata.files import FILES, Document, plain
from gpuzarr.stores import Store


def new_array(store: Store, path: str, made: ArrayMetadata, overwrite: bool) -> None:
    """Write the metadata of an array. ExistsError where another node is, unless it may be overwritten."""
    if made.zarr_format == 3:
        _put(store, path, {"zarr.json": made.document}, overwrite)
    else:
        _put(store, path, {".zattrs": made.attributes, ".zarray": made.document}, overwrite)


def new_group(store: Store, path: str, zarr_format: int, attributes: dict[str, Any] | None, overwrite: bool) -> None:
    """Write the metadata of a group, as `new_array`."""
    _put(store, path, _group(zarr_format, plain(attributes or {})), overwrite)


def delete(store: Store, path: str) -> None:
    """Delete a node with all below it; NotFoundError where there is none."""
    with store.locked([files.lock(path)]):
        if not _found(store, path):
            raise NotFoundError(f"no array or group at {path or '/'!r} in {store!r}")
        store.delete([files.key(path, name) for name in FILES])  # from here on it is gone
        store.delete_prefix(path)


def _group(zarr_format: int, attributes: Document) -> dict[str, Document]:
    if zarr_format == 2:
        return {".zattrs": attributes, ".zgroup": {"zarr_format": 2}}
    return {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": attributes}}


def _put(store: Store, path: str, documents: dict[str, Document], overwrite: bool) -> None:
    _parents(store, path, 3 if "zarr.json" in documents else 2)
    with store.locked([files.lock(path)]):
        found = _found(store, path)
        if found and not overwrite:
            if all(plain(found.get(name, {})) == plain(document) for name, document in documents.items()):
                return
            kind = "array" if _is_array(found) else "group"
            raise ExistsError(f"there is another {kind} at {path or '/'!r} in {store!r}; overwrite=True replaces it")
        for name in store.names(path) if overwrite else []:
            if name not in FILES:
                store.delete_prefix(files.key(path, name))
        for name, document in documents.items():
            files.write(store, path, name, document)
        store.delete([files.key(path, name) for name in found if name not in documents])


def _parents(store: Store, path: str, zarr_format: int) -> None:
    """The groups above a node are there too."""
    parts = path.split("/") if path else []
    for above in ("/".join(parts[:i]) for i in range(len(parts))):
        with store.locked([files.lock(above)]):
            found = _found(store, above)
            if _is_array(found):
                raise ExistsError(f"{above or '/'!r} in {store!r} is an array, which has no members")
            if not found:
                for name, document in _group(zarr_format, {}).items():
                    files.write(store, above, name, document)


def _found(store: Store, path: str) -> dict[str, Document]:
    """The documents of a node; none where there is no node."""
    documents = {name: files.read(store, path, name) for name in FILES}
    found = {name: document for name, document in documents.items() if document is not None}
    return found if {"zarr.json", ".zarray", ".zgroup"} & set(found) else {}


def _is_array(found: dict[str, Document]) -> bool:
    return found.get("zarr.json", {}).get("node_type") == "array" or ("zarr.json" not in found and ".zarray" in found)
