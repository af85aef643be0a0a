"""Nodes put into a store. Who creates holds the lock of the node's metadata, so of two who race the second finds
what the first made: the same is welcome, another is an ExistsError. Nodes are the same if they mean the same, whoever
wrote them, and have the attributes that are asked for; they may have got more since.

With `overwrite` all that was there goes before the new metadata takes its place, so that no chunk of the old array
is ever one of the new.
"""

from __future__ import annotations

from typing import Any

from gpuzarr.errors import ExistsError, MetadataError, NotFoundError
from gpuzarr.metadata import ArrayMetadata, files, v2, v3
from gpuzarr.metadata.files import FILES, Document, plain
from gpuzarr.stores.contract import Store

Documents = dict[str, Document]  # by their names


def new_array(store: Store, path: str, made: ArrayMetadata, overwrite: bool) -> ArrayMetadata:
    """Write the metadata of an array; what is there then. ExistsError where another node is, unless overwritten."""
    documents = {".zattrs": made.attributes, ".zarray": made.document}
    found = _put(store, path, {"zarr.json": made.document} if made.zarr_format == 3 else documents, overwrite)
    return made if found is None else _array(found)


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


def _group(zarr_format: int, attributes: Document) -> Documents:
    if zarr_format == 2:
        return {".zattrs": attributes, ".zgroup": {"zarr_format": 2}}
    return {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": attributes}}


def _put(store: Store, path: str, documents: Documents, overwrite: bool) -> Documents | None:
    """Write the documents of a node, or find one that is the same: its documents."""
    _parents(store, path, 3 if "zarr.json" in documents else 2)
    with store.locked([files.lock(path)]):
        found = _found(store, path)
        if found and not overwrite:
            if _same(found, documents):
                return found
            kind = "array" if _is_array(found) else "group"
            raise ExistsError(f"there is another {kind} at {path or '/'!r} in {store!r}; overwrite=True replaces it")
        for name in store.names(path) if overwrite else []:
            if name not in FILES:
                store.delete_prefix(files.key(path, name))
        for name, document in documents.items():
            files.write(store, path, name, document)
        store.delete([files.key(path, name) for name in found if name not in documents])
    return None


def _same(found: Documents, wanted: Documents) -> bool:
    """Whether the node that was found is of the kind that was wanted, and has the attributes."""
    if _is_array(found) != _is_array(wanted) or ("zarr.json" in found) != ("zarr.json" in wanted):
        return False
    if _is_array(wanted):
        try:
            if _meaning(_array(found)) != _meaning(_array(wanted)):
                return False
        except MetadataError:  # of an array that nobody here can read
            return False
    has, asked = _attributes(found), _attributes(wanted)
    return all(name in has and plain(has[name]) == plain(value) for name, value in asked.items())


def _meaning(array: ArrayMetadata) -> tuple[Any, ...]:
    """What makes an array another one."""
    names = array.dimension_names if array.zarr_format == 3 else None  # v2 has them in the attributes
    fill_value = plain(array.data_type.fill_to_json(array.fill_value))  # where NaN equals NaN
    return array.shape, array.data_type, array.axes, array.chunk_keys, array.codecs, fill_value, names


def _array(documents: Documents) -> ArrayMetadata:
    if "zarr.json" in documents:
        return v3.parse_array(documents["zarr.json"], "zarr.json")
    return v2.parse_array(documents[".zarray"], _attributes(documents), ".zarray")


def _attributes(documents: Documents) -> Document:
    if "zarr.json" not in documents:
        return documents.get(".zattrs", {})
    attributes: Document = documents["zarr.json"].get("attributes", {})
    return attributes


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


def _found(store: Store, path: str) -> Documents:
    """The documents of a node; none where there is no node."""
    documents = {name: files.read(store, path, name) for name in FILES}
    found = {name: document for name, document in documents.items() if document is not None}
    return found if {"zarr.json", ".zarray", ".zgroup"} & set(found) else {}


def _is_array(found: Documents) -> bool:
    return found.get("zarr.json", {}).get("node_type") == "array" or ("zarr.json" not in found and ".zarray" in found)
