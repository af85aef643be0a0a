"""Whole things written by one call: groups, arrays from values, consolidated metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from gpuzarr.api.opening import open, open_group
from gpuzarr.creation import new_group
from gpuzarr.errors import NotFoundError
from gpuzarr.metadata import files
from gpuzarr.metadata.files import Document
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import clean, create_array
from gpuzarr.nodes.group import Group
from gpuzarr.stores.contract import Store
from gpuzarr.stores.resolve import store as store_of

Format = Literal[2, 3] | None


def create_group(
    store: Any,
    *,
    path: str | None = None,
    zarr_format: Format = None,
    overwrite: bool = False,
    attributes: dict[str, Any] | None = None,
    device: Any = "auto",
) -> Group:
    """A new group at `path` of `store`; one that is there is fine if it has these attributes, maybe among others."""
    store, path = store_of(store), clean(path or "")
    new_group(store, path, zarr_format or 3, attributes, overwrite)
    return open_group(store, path, mode="r+", zarr_format=zarr_format, device=device)


def save_array(store: Any, arr: Any, *, zarr_format: Format = None, path: str | None = None, **options: Any) -> None:
    """Store one array at `path`, instead of what is there. `options` are those of `create_array`."""
    create_array(store, name=path, data=arr, zarr_format=zarr_format or 3, overwrite=True, **options)


def save(store: Any, *args: Any, zarr_format: Format = None, path: str | None = None, **kwargs: Any) -> None:
    """Store one array, or several in a group: as `arr_0`, `arr_1`, or by the names of the keywords."""
    if len(args) == 1 and not kwargs:
        save_array(store, args[0], zarr_format=zarr_format, path=path)
        return
    save_group(store, *args, zarr_format=zarr_format, path=path, **kwargs)


def save_group(store: Any, *args: Any, zarr_format: Format = None, path: str | None = None, **kwargs: Any) -> None:
    """Store arrays in a group: as `arr_0`, `arr_1`, or by the names of the keywords."""
    if not args and not kwargs:
        raise ValueError("nothing to save")
    create_group(store, path=path, zarr_format=zarr_format, overwrite=True)
    for name, arr in ({f"arr_{i}": arr for i, arr in enumerate(args)} | kwargs).items():
        save_array(store, arr, zarr_format=zarr_format, path=f"{path or ''}/{name}")


def consolidate_metadata(store: Any, path: str | None = None, zarr_format: Format = None) -> Group:
    """Put the metadata of all nodes below a group into the group's own, so that one read opens them all."""
    store, path = store_of(store), clean(path or "")
    group = open(store, path, mode="r+", zarr_format=zarr_format)
    if not isinstance(group, Group):
        raise NotFoundError(f"{group!r} is an array, not a group")
    if group.zarr_format == 2:
        found = dict(_v2(store, group, path))
        files.write(store, path, ".zmetadata", {"zarr_consolidated_format": 1, "metadata": found})
    else:
        inline = {"kind": "inline", "must_understand": False, "metadata": dict(_v3(store, group, path))}
        files.change(store, path, "zarr.json", lambda document: document.update(consolidated_metadata=inline))
    return open_group(store, path, mode="r+", zarr_format=group.zarr_format, consolidated=True)


def _below(group: Group) -> Iterator[Array | Group]:
    for _, node in group.members():
        yield node
        if isinstance(node, Group):
            yield from _below(node)


def _v3(store: Store, group: Group, path: str) -> Iterator[tuple[str, Document]]:
    for node in _below(group):
        document = files.read(store, node.path, "zarr.json")
        if document is not None:
            yield node.path[len(path) :].strip("/"), {k: v for k, v in document.items() if k != "consolidated_metadata"}


def _v2(store: Store, group: Group, path: str) -> Iterator[tuple[str, Document]]:
    for node in (group, *_below(group)):
        for name in (".zarray", ".zgroup", ".zattrs"):
            if (document := files.read(store, node.path, name)) is not None:
                yield files.key(node.path[len(path) :].strip("/"), name), document
