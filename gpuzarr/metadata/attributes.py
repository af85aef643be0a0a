"""Change the attributes of a stored node."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gpuzarr.errors import NotFoundError
from gpuzarr.metadata import ArrayMetadata, Node, files, spellings, summaries, v3
from gpuzarr.metadata.files import Document
from gpuzarr.stores.contract import Store


def change_attributes(store: Store, path: str, node: Node, edit: Callable[[Document], None]) -> Document:
    """Edit the attributes of a node under a lock, and return them; the rest of its document stays.

    `node`: its metadata when it was opened. MetadataError if what is stored now is no such node, or is wrong.
    Consolidated metadata of the groups above have the new attributes, too.
    """
    note = partial(summaries.changed, store, path, node.zarr_format)
    return summaries.noted(lambda: _changed(store, path, node, edit), note)


def _changed(store: Store, path: str, node: Node, edit: Callable[[Document], None]) -> Document:
    kind = "array" if isinstance(node, ArrayMetadata) else "group"

    def edit_member(document: Document) -> None:
        where = files.place(store, path, "zarr.json")
        if kind == "array":
            right = v3.parse_array(document, where).document
        else:  # with its consolidated metadata, which are not looked at
            v3.parse_group(document, where, False)
            right = spellings.group_v3(document)
        if right is not document:  # it was spelled otherwise
            document.clear()
            document.update(right)
        edit(document.setdefault("attributes", {}))

    if node.zarr_format == 2:
        if files.read(store, path, name := f".z{kind}") is None:
            raise NotFoundError(f"{files.key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
        return files.change(store, path, ".zattrs", edit)
    attributes: Document = files.change(store, path, "zarr.json", edit_member)["attributes"]
    return attributes
