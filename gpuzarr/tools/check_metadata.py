"""Check the documents of a node: what the parsers, which read more than the specifications allow, do not refuse.

Sources: the Zarr core specification 3.1, the storage specification version 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuzarr.errors import GpuZarrError, MetadataError, StoreError
from gpuzarr.metadata import files, spellings, summaries
from gpuzarr.nodes.array import Array
from gpuzarr.stores.contract import Store
from gpuzarr.tools.check_report import Finding
from gpuzarr.tools.check_walk import Visited

Note = Callable[[Finding], object]
_V3 = {
    "array": (
        *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"),
        *("attributes", "dimension_names", "storage_transformers"),
    ),
    "group": ("zarr_format", "node_type", "attributes", summaries.FIELD),
}
_V2 = {
    ".zarray": (
        *("zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order", "filters"),
        *("dimension_separator", "_NCZARR_ARRAY", "_nczarr_array"),
    ),
    ".zgroup": ("zarr_format", "_NCZARR_GROUP", "_NCZARR_SUPERBLOCK", "_nczarr_group", "_nczarr_superblock"),
}
MAX_NAMED = 5  # of paths in a message


def check_documents(store: Store, visited: Visited, note: Note) -> None:
    """Note what is wrong or unusual about the documents of a node."""
    _check_sides(visited, note)
    if visited.node.metadata.foreign is not None:  # N5, whose documents are others
        return
    kind = "array" if isinstance(visited.node, Array) else "group"
    zarr_format = visited.node.zarr_format
    name = "zarr.json" if zarr_format == 3 else ".zarray" if kind == "array" else ".zgroup"
    try:
        document = files.read(store, visited.path, name)
    except GpuZarrError:  # it was read before: somebody has just changed it
        return
    if document is None:
        return
    known = _V3[kind] if zarr_format == 3 else _V2[name]
    key = files.key(visited.path, name)
    if unknown := sorted(document.keys() - set(known)):
        text = f"its document has the members {unknown}, which the specification does not have"
        note(Finding("note", "unknown-member", visited.path, text, key))
    if kind == "array" and (changed := _spelled(document, zarr_format)):
        text = f"its document spells {changed} in another way than the specification: other libraries may refuse that"
        note(Finding("note", "spelling", visited.path, text, key))


def _check_sides(visited: Visited, note: Note) -> None:
    """Documents of several versions of Zarr beside each other: which one is read depends on the library."""
    v2 = visited.documents & {".zarray", ".zgroup"}
    if "zarr.json" in visited.documents and v2:
        text = f"documents of Zarr v2 and v3 lie beside each other: 'zarr.json' and {min(v2)!r}"
        note(Finding("warning", "both-versions", visited.path, text, files.key(visited.path, min(v2))))
    if len(v2) == 2:
        text = "'.zarray' and '.zgroup' lie beside each other: is it an array or a group?"
        note(Finding("warning", "both-versions", visited.path, text, files.key(visited.path, ".zgroup")))


def _spelled(document: dict[str, Any], zarr_format: int) -> list[str]:
    """The members of an array's document that are spelled otherwise than the specification has it."""
    spell = spellings.array_v3 if zarr_format == 3 else spellings.array_v2
    try:
        right = spell(spellings.formatted(document))
    except (TypeError, ValueError, AttributeError, RecursionError):
        return []
    return sorted(name for name in {*document, *right} if document.get(name) != right.get(name))


def check_summary(store: Store, path: str, note: Note) -> None:
    """Note consolidated metadata of a group that say something else than the documents below it."""
    for zarr_format in (2, 3):
        name = "zarr.json" if zarr_format == 3 else ".zmetadata"
        try:
            wrong = summaries.outdated(store, path, zarr_format)
        except MetadataError as error:
            if zarr_format == 2:
                text = f"its consolidated metadata cannot be read: {error}"
                note(Finding("error", "consolidated", path, text, files.key(path, name), repair="consolidate"))
            continue
        except (StoreError, RecursionError):  # where nothing can be listed, nothing can be compared
            continue
        if wrong:
            names = [repr(each or "/") for each in wrong[:MAX_NAMED]] + ["..."] * (len(wrong) > MAX_NAMED)
            text = f"its consolidated metadata are out of date: they differ from the documents of {', '.join(names)}"
            at = files.key(path, name)
            note(Finding("warning", "consolidated", path, text, at, count=len(wrong), repair="consolidate"))
