"""Make many nodes at once, as documents describe them, and the groups between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuzarr.checks import at, flag, mapping, shown
from gpuzarr.creation import new_nodes
from gpuzarr.creation.paths import above
from gpuzarr.errors import ArgumentError, ExistsError, MetadataError
from gpuzarr.metadata import ArrayMetadata, Node, files, v2, v3
from gpuzarr.metadata.summaries import FIELD
from gpuzarr.nodes.array import Array
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.path import StorePath
from gpuzarr.write.target import Writable

if TYPE_CHECKING:
    from gpuzarr.nodes.group import Group
    from gpuzarr.nodes.opener import Opener


def created(
    opener: Opener, nodes: Any, overwrite: bool, below: str = "", zarr_format: int | None = None
) -> list[tuple[str, Array | Group]]:
    """Make nodes, and return all that were made by their paths below `below`, groups before their members.

    `nodes` has documents (dicts, or metadata of this library or zarr-python) by their paths below `below`, all of one
    version of Zarr. Groups between them are made where there is none. Nothing is made if one of them is wrong, if one
    would be a member of an array, or if one exists (ExistsError), unless `overwrite`: then it is replaced.
    """
    parsed = _parsed(nodes, zarr_format)
    paths = {path: f"{below}/{path}".strip("/") for path in parsed}
    existing = {path for path, whole in paths.items() if opener.exists(whole)}
    if existing and not flag(overwrite, "overwrite"):
        raise ExistsError(f"there is a node at {paths[min(existing)] or '/'!r} in {opener.store!r} already")
    between = {each for path in parsed for each in above(path)[1:]} - parsed.keys()
    if not below and parsed and "" not in parsed:
        between.add("")
    for each in list(between):
        whole = f"{below}/{each}".strip("/")
        if opener.exists(whole):
            if isinstance(opener(whole), Array):
                raise ExistsError(f"{whole or '/'!r} in {opener.store!r} is an array, and cannot have members")
            between.remove(each)
    new_nodes(opener.store, {paths[path]: node for path, node in parsed.items()}, flag(overwrite, "overwrite"))
    return [(path, opener(f"{below}/{path}".strip("/"))) for path in sorted({*parsed, *between})]


def _parsed(nodes: Any, zarr_format: int | None) -> dict[str, Node]:
    """The metadata of nodes by their clean paths. They all fit together."""
    if not isinstance(nodes, Mapping):
        raise ArgumentError(f"nodes must be a dict from paths to documents, not {shown(nodes)}")
    found = {files.clean(path): _node(given, f"nodes[{shown(path)}]") for path, given in nodes.items()}
    if len(found) < len(nodes):
        raise ArgumentError(f"nodes has a path twice: {sorted(nodes)}")
    if len(versions := {*(node.zarr_format for node in found.values()), *([zarr_format] if zarr_format else [])}) > 1:
        raise ArgumentError(f"nodes of one hierarchy must be of one version of Zarr, not of {sorted(versions)}")
    for path in found:
        for each in above(path):
            if isinstance(found.get(each), ArrayMetadata):
                raise ArgumentError(f"nodes[{each!r}] is an array, and cannot have the member {path!r}")
    return found


def _node(given: Any, where: str) -> Node:
    found = files.plain(given.to_dict() if hasattr(given, "to_dict") else given)
    document = {name: value for name, value in mapping(found, where).items() if value is not None or name != FIELD}
    if document.get("zarr_format") != 2:
        return v3.parse_node(document, where)
    attributes = mapping(document.pop("attributes", None) or {}, f"attributes of {where}")
    if document.pop("node_type", "array" if "shape" in document else "group") == "array":
        return v2.parse_array(document, attributes, where)
    return v2.parse_group({"zarr_format": 2}, attributes, where)


def described(kind: type[Array], place: StorePath, document: Any) -> Array:
    """The array at a place that a document describes."""
    node = _node(document, "the document")
    if not isinstance(node, ArrayMetadata):
        raise MetadataError("the document is that of a group, not of an array")
    store = store_of(place.store)
    made = kind(store, place.path, node, "auto", Writable())
    with at(f"codecs of {'/' + place.path!r} in {store!r}"):
        made.layout.check()
    return made
