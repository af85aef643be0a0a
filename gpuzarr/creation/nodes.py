"""Write the metadata of new nodes, and delete nodes.

A process that makes a node holds the lock of its metadata; so of two processes the second finds the node of the first.
The same node is kept, another is an ExistsError. Nodes are the same if their metadata means the same, whoever wrote it,
and if they have the attributes that are asked for, maybe among others.

With `overwrite` everything there is deleted before the new metadata is written, so that no chunk of an old array is
ever read as one of the new array.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from gpuzarr.checks import mapping
from gpuzarr.errors import ExistsError, GpuZarrError, LinkedError, MetadataError, NotFoundError
from gpuzarr.interrupts import within
from gpuzarr.metadata import ArrayMetadata, files, v2, v3
from gpuzarr.metadata.files import FILES, Document, plain
from gpuzarr.stores.contract import Store

Documents = dict[str, Document]  # by the names of their files


def new_array(store: Store, path: str, made: ArrayMetadata, overwrite: bool) -> ArrayMetadata:
    """Write the metadata of an array, and return that of the array that exists then, which may be a kept one.

    ExistsError if there is another node, unless it is overwritten.
    """
    files.check_writable(store, path)
    documents = {".zattrs": made.attributes, ".zarray": made.document}
    found = _put(store, path, {"zarr.json": made.document} if made.zarr_format == 3 else documents, overwrite)
    return made if found is None else _array(found)


def new_group(store: Store, path: str, zarr_format: int, attributes: dict[str, Any] | None, overwrite: bool) -> None:
    """Write the metadata of a group. ExistsError if there is another node, unless it is overwritten."""
    files.check_writable(store, path)
    given = {} if attributes is None else mapping(plain(attributes), "attributes")
    _put(store, path, _group(zarr_format, given), overwrite)


def delete(store: Store, path: str) -> None:
    """Delete a node with all below it. NotFoundError if there is none."""
    files.check_writable(store, path)

    def remove(_: object) -> None:
        if not _found(store, path):
            raise NotFoundError(f"no array or group at {path or '/'!r} in {store!r}")
        _clear(store, path)

    within(store.locked([files.lock(path)]), remove)


def _clear(store: Store, path: str) -> None:
    """Delete whatever is at a path, the documents first: from then on the node is gone."""
    for name in FILES:
        with suppress(LinkedError):  # a symbolic link in the place of the node goes itself
            store.delete_prefix(files.key(path, name))
    store.delete_prefix(path)


def _group(zarr_format: int, attributes: Document) -> Documents:
    if zarr_format == 2:
        return {".zattrs": attributes, ".zgroup": {"zarr_format": 2}}
    return {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": attributes}}


def _put(store: Store, path: str, documents: Documents, overwrite: bool) -> Documents | None:
    """Write the documents of a node; or, if the same node exists, return its documents."""
    encoded = {name: files.dumps(document) for name, document in documents.items()}  # what is wrong is found first
    _parents(store, path, 3 if "zarr.json" in documents else 2)

    def put(_: object) -> Documents | None:
        if overwrite:
            _clear(store, path)
        elif found := _found(store, path):
            if _same(found, documents, path):
                return found
            kind = "array" if _is_array(found) else "group"
            raise ExistsError(f"there is another {kind} at {path or '/'!r} in {store!r}; overwrite=True replaces it")
        _write(store, path, encoded)
        return None

    return within(store.locked([files.lock(path)]), put)


def _write(store: Store, path: str, encoded: dict[str, bytes]) -> None:
    """Write the documents of a new node, all or none."""
    try:
        for name, data in encoded.items():
            store.set(files.key(path, name), data)
    except BaseException:
        with suppress(GpuZarrError):  # what went wrong first is raised
            store.delete([files.key(path, name) for name in encoded])
        raise


def _same(found: Documents, wanted: Documents, path: str) -> bool:
    """True if a stored node is the one that was asked for, and has the attributes. MetadataError for a wrong group."""
    if _is_array(found) != _is_array(wanted) or ("zarr.json" in found) != ("zarr.json" in wanted):
        return False
    if _is_array(wanted):
        try:
            if _meaning(_array(found)) != _meaning(_array(wanted)):
                return False
        except MetadataError:  # an array that cannot be read here
            return False
    has, asked = mapping(_attributes(found), f"attributes of {path or '/'!r}"), _attributes(wanted)
    return all(name in has and plain(has[name]) == plain(value) for name, value in asked.items())


def _meaning(array: ArrayMetadata) -> tuple[Any, ...]:
    """The properties of an array by which it differs from another."""
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
    """Make the groups above a node. ExistsError if one of the nodes above is an array."""
    parts = path.split("/") if path else []
    for above in ("/".join(parts[:i]) for i in range(len(parts))):
        within(store.locked([files.lock(above)]), partial(_parent, store, above, zarr_format))


def _parent(store: Store, above: str, zarr_format: int, _: object) -> None:
    found = _found(store, above)
    if _is_array(found):
        raise ExistsError(f"{above or '/'!r} in {store!r} is an array, and cannot have members")
    if not found:
        for name, document in _group(zarr_format, {}).items():
            files.write(store, above, name, document)


def _found(store: Store, path: str) -> Documents:
    """The documents of a node; an empty dict if there is no node."""
    documents = {name: files.read(store, path, name) for name in FILES}
    found = {name: document for name, document in documents.items() if document is not None}
    return found if {"zarr.json", ".zarray", ".zgroup"} & set(found) else {}


def _is_array(found: Documents) -> bool:
    return found.get("zarr.json", {}).get("node_type") == "array" or ("zarr.json" not in found and ".zarray" in found)
