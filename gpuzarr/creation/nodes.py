"""Make nodes, and delete them.

A process that makes a node holds the lock of its metadata; so of two processes the second finds the node of the first.
The same node is kept, another is an ExistsError. Nodes are the same if their metadata means the same, whoever wrote it,
and if they have the attributes that are asked for, maybe among others.

What is overwritten is replaced by a complete node (`creation/replacing.py`), so that no chunk of an old array is ever
read as one of the new array, and a call that fails leaves the old node. Where nothing is, a node is made in its place,
and deleted again if that fails. The groups above it are made last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from gpuzarr.checks import mapping
from gpuzarr.creation.paths import above, check_format, check_names, formats_above
from gpuzarr.creation.replacing import documents_first, put_aside, replaced
from gpuzarr.errors import (
    ExistsError,
    GpuZarrError,
    LinkedError,
    MetadataError,
    NotFoundError,
    ReadOnlyError,
    StoreError,
)
from gpuzarr.interrupts import ensured, within
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, files, n5, spellings, v2, v3
from gpuzarr.metadata.files import FILES, Document, plain
from gpuzarr.stores import versioned
from gpuzarr.stores.contract import Store
from gpuzarr.stores.guards import guard
from gpuzarr.stores.hidden import rebased
from gpuzarr.stores.identity import GROUP_DOCUMENTS, around
from gpuzarr.stores.moving import holds, keys, recover

NODE_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup")  # where one of these is, a node is
Documents = dict[str, Document]  # by the names of their files
Fill = Callable[[str], object]  # stores what belongs to a node, at the path where its documents are


def new_array(store: Store, path: str, made: ArrayMetadata, overwrite: bool, fill: Fill | None = None) -> ArrayMetadata:
    """Make an array, and return the metadata of the array that exists then, which may be a kept one.

    `fill(path)` writes its values, to a hidden path if something is overwritten. ExistsError if there is another node,
    unless it is overwritten.
    """
    files.check_writable(store, path)
    documents = {".zattrs": made.attributes, ".zarray": made.document}
    found = _put(store, path, {"zarr.json": made.document} if made.zarr_format == 3 else documents, overwrite, fill)
    return made if found is None else _array(found)


def new_group(
    store: Store,
    path: str,
    zarr_format: int,
    attributes: dict[str, Any] | None,
    overwrite: bool,
    fill: Fill | None = None,
) -> None:
    """Make a group. ExistsError if there is another node, unless it is overwritten.

    `fill(path)` makes its members, at a hidden path, so that they come and replace what is there as a whole.
    """
    files.check_writable(store, path)
    given = {} if attributes is None else mapping(plain(attributes), "attributes")
    _put(store, path, _group(zarr_format, given), overwrite, fill, is_staged=fill is not None)


def new_nodes(store: Store, nodes: Mapping[str, Node], overwrite: bool) -> None:
    """Make nodes, and the groups between and above them: all or none. ExistsError where there is another node.

    With `overwrite`, what is at the path of a node is replaced with all that is below it.
    """
    documents = {path: _documents(nodes[path]) for path in sorted(nodes)}
    for path in documents:
        files.check_writable(store, path)
        is_top = not any(each in nodes for each in above(path))
        check_above(store, path, format_of(documents[path]) if is_top else None)
    (_put_over if overwrite else _put_beside)(store, documents)


def _put_beside(store: Store, nodes: Mapping[str, Documents]) -> None:
    """Make nodes where none are."""
    made: list[str] = []
    try:
        for path, documents in nodes.items():
            if _put(store, path, documents, False) is None:
                made += [files.key(path, name) for name in documents]
    except BaseException:
        with suppress(GpuZarrError):  # what went wrong first is raised
            store.delete(made)
        raise


def _put_over(store: Store, nodes: Mapping[str, Documents]) -> None:
    """Make nodes in the place of what is there."""
    encoded = {path: _encoded(documents) for path, documents in nodes.items()}
    tops = [path for path in nodes if not any(each in nodes for each in above(path))]
    for path in tops:
        check_around(store, path)

    def make(top: str, staged: str) -> None:
        for path in [path for path in nodes if path == top or path.startswith(f"{top}/" if top else "")]:
            here = rebased(path, top, staged)
            _write(store, here, encoded[path])
            make_above(store, here, format_of(nodes[path]))

    def make_all_above(made: list[str]) -> None:
        for path in tops:
            make_above(store, path, format_of(nodes[path]), made)

    replaced(store, tops, make, make_all_above)


def delete(store: Store, path: str) -> None:
    """Delete a node with all below it, or nothing of it. NotFoundError if there is none.

    Where folders are renamed it is put aside first, so that an error or an interrupt leaves it, or takes all of it.
    """
    files.check_writable(store, path)

    def remove(_: object) -> None:
        if not find(store, path):
            raise NotFoundError(f"no array or group at {path or '/'!r} in {store!r}")
        if path and hasattr(store, "recover"):
            put_aside(store, path)
            return
        try:
            _clear(store, path)
        except BaseException:
            with suppress(GpuZarrError):  # what went wrong first is raised
                _clear(store, path)
            raise

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


def format_of(documents: Mapping[str, object]) -> int:
    """The version of Zarr of a node with these documents."""
    return 3 if "zarr.json" in documents else 2


def _documents(node: Node) -> Documents:
    if isinstance(node, GroupMetadata):
        return _group(node.zarr_format, node.attributes)
    return (
        {"zarr.json": node.document}
        if node.zarr_format == 3
        else {".zattrs": node.attributes, ".zarray": node.document}
    )


def _encoded(documents: Documents) -> dict[str, bytes]:
    return {name: files.dumps(document) for name, document in documents.items()}


def _put(
    store: Store,
    path: str,
    documents: Documents,
    overwrite: bool,
    fill: Fill | None = None,
    is_staged: bool = False,
) -> Documents | None:
    """Make a node and the groups above it; or, if the same node exists, fill it, and return its documents.

    `is_staged`: make it at a hidden path also where nothing is.
    """
    encoded = _encoded(documents)  # what is wrong is found first
    check_above(store, path, format_of(documents))
    recover(store, path)
    new: list[set[str]] = []  # the keys that were there before, once anything is written
    done: list[bool] = []

    def put(_: object) -> Documents | None:
        if overwrite and (is_staged or holds(store, path)):
            return {}
        if not overwrite and (found := find(store, path)):
            if _same(found, documents, path):
                return found
            raise another(store, path, found)
        before = set(keys(store, path)) if fill and not overwrite else set()
        return None if is_created(before) else put(_)

    def is_created(before: set[str]) -> bool:
        """Make the document by which a node is there, and then others; False if another process has made one first."""
        first, *others = sorted(encoded, key=lambda name: name not in NODE_DOCUMENTS)
        if guard(store) != "versions":
            new.append(before)
            _write(store, path, encoded)
            return True
        if not versioned.create(store, files.key(path, first), encoded[first]):
            return False
        new.append(before)
        _write(store, path, {name: encoded[name] for name in others})
        return True

    def work() -> Documents | None:
        found = within(store.locked([files.lock(path)]), put)
        if found == {}:
            _replace(store, path, encoded, fill)
            return None
        if fill:
            fill(path)
        make_above(store, path, format_of(documents))
        done.append(True)
        return found

    def clean() -> None:
        if new and not done:
            with suppress(GpuZarrError):  # what went wrong first is raised
                _discard(store, path, encoded, new[0])

    return ensured(work, clean)


def _replace(store: Store, path: str, encoded: dict[str, bytes], fill: Fill | None) -> None:
    """Make a node that replaces what is there."""
    check_around(store, path)

    def make(path: str, staged: str) -> None:
        _write(store, staged, encoded)
        if fill:
            fill(staged)
        if any(store.get(files.key(staged, name)) is None for name in encoded):
            raise StoreError(f"what is made at {path or '/'!r} of {store!r} was deleted meanwhile")

    replaced(store, [path], make, partial(make_above, store, path, format_of(encoded)))


def check_around(store: Store, path: str) -> None:
    """ExistsError if what is at a path are chunks of an array in whose folder this store lies."""
    for (outer, at), below in around(store):
        with suppress(MetadataError, StoreError):  # of documents that are none
            if _is_array(found := find(outer, at)):
                decode = getattr(_array(found).chunk_keys, "decode", lambda key, path: key)
                if any(decode(f"{below}/{key}", "") is not None for key in keys(store, path)):
                    raise ExistsError(
                        f"{path or '/'!r} of {store!r} has chunks of the array {at or '/'!r} of {outer!r}"
                    )


def _write(store: Store, path: str, encoded: dict[str, bytes]) -> None:
    for name, data in encoded.items():
        store.set(files.key(path, name), data)


def _discard(store: Store, path: str, encoded: dict[str, bytes], before: set[str]) -> None:
    """Delete a node that was not completed, its documents first, but not what was there before."""
    store.delete([files.key(path, name) for name in encoded])
    if before:
        store.delete([key for key in keys(store, path) if key not in before])
        return
    for each in [path] if path else documents_first(store.names("")):
        store.delete_prefix(each)


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
    attributes: Document = spellings.group_v3(documents["zarr.json"]).get("attributes", {})
    return attributes


def check_above(store: Store, path: str, zarr_format: int | None) -> None:
    """Refuse a path at which no node can be made, before anything is.

    ArgumentError for a name that nobody could use, and if the nearest group above is of another version of Zarr than
    `zarr_format` (None: of any). ExistsError if one of the nodes above is an array. ReadOnlyError within N5.
    """
    check_names(store, path)
    nearest, formats = "", set[int]()
    for each in above(path):
        if documents := _not_an_array(store, each):
            nearest, formats = each, {version for name, version in GROUP_DOCUMENTS.items() if name in documents}
    if not formats:
        nearest, formats = formats_above(store, path)
    if not formats and (foreign := n5.nearest(store, path)) is not None and not find(store, path):
        raise ReadOnlyError(f"no node can be made at {path or '/'!r} in {store!r}: {foreign.why_read_only}")
    if formats and zarr_format is not None:
        check_format(store, path, nearest, formats, zarr_format)


def make_above(store: Store, path: str, zarr_format: int, made: list[str] | None = None) -> None:
    """Make the groups above a node, all or none. ExistsError if one of the nodes above is an array.

    `made`: gets the keys of their documents, for who deletes them if the node itself is not made.
    """
    made = [] if made is None else made
    try:
        for each in above(path):
            if not _not_an_array(store, each):
                within(store.locked([files.lock(each)]), partial(_make_group, store, each, zarr_format, made))
    except BaseException:
        with suppress(GpuZarrError):  # what went wrong first is raised
            store.delete(made)
        raise


def _make_group(store: Store, path: str, zarr_format: int, made: list[str], _: object) -> None:
    while not _not_an_array(store, path):
        documents = _group(zarr_format, {})
        if guard(store) == "versions":
            *others, (name, document) = documents.items()
            if not versioned.create(store, files.key(path, name), files.dumps(document)):
                continue  # another process has made it, or an array
            made.append(files.key(path, name))
            documents = dict(others)
        for name, document in documents.items():
            made.append(files.key(path, name))
            files.write(store, path, name, document)
        return


def _not_an_array(store: Store, path: str) -> Documents:
    """The documents of a group, or none. ExistsError if there is an array."""
    if _is_array(found := _read(store, path, NODE_DOCUMENTS)):
        raise ExistsError(f"{path or '/'!r} in {store!r} is an array, and cannot have members")
    return found


def another(store: Store, path: str, found: Documents) -> ExistsError:
    """The error for a node that is in the way."""
    kind = "array" if _is_array(found) else "group"
    return ExistsError(f"there is another {kind} at {path or '/'!r} in {store!r}; overwrite=True replaces it")


def find(store: Store, path: str) -> Documents:
    """The documents of a node, without `.zmetadata`; an empty dict if there is no node."""
    found = _read(store, path, NODE_DOCUMENTS)
    return found | _read(store, path, [".zattrs"]) if found else {}


def _read(store: Store, path: str, names: Iterable[str]) -> Documents:
    documents = {name: files.read(store, path, name) for name in names}
    return {name: document for name, document in documents.items() if document is not None}


def _is_array(found: Documents) -> bool:
    return found.get("zarr.json", {}).get("node_type") == "array" or ("zarr.json" not in found and ".zarray" in found)
