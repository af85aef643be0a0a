"""List the nodes of a store, and how they are stored.

For each array it says whether a GPU decodes it; of OME-Zarr, the levels of images with the sizes of their samples,
labels, plates and wells. PATH may be a URL.

Examples:

    gpuzarr info data.zarr
    gpuzarr info s3://bucket/data.zarr --storage-option skip_signature=true --json
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import gpuzarr
from gpuzarr.cli.info_ome import ome_lines
from gpuzarr.cli.output import add_output, printable
from gpuzarr.cli.places import add_place, storage_options
from gpuzarr.errors import GpuZarrError, NotFoundError, StoreError
from gpuzarr.nodes.info import Stored
from gpuzarr.nodes.misplaced import problem
from gpuzarr.read.explain import gpu_decode
from gpuzarr.stores.finding.urls import shown
from gpuzarr.tools.show_ome import ome_facts


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("info", help="the tree of a store, and how its arrays are stored", description=__doc__)
    add_place(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is at options.path. GpuZarrError if nothing is, or if its metadata is wrong."""
    top = gpuzarr.open(options.path, device="cpu", storage_options=storage_options(options))
    nodes = [describe(top), *below(top)]
    if options.json:
        print(json.dumps({"path": shown(options.path), "nodes": nodes}, indent=1, allow_nan=False))
    else:
        lines = details(nodes[0]) if nodes[0]["kind"] == "array" else tree(nodes)
        print("\n".join(map(printable, lines)))


# facts about nodes, as JSON


def below(node: gpuzarr.Array | gpuzarr.Group) -> Iterator[dict[str, Any]]:
    """Describe all nodes below one, parents first. A node with wrong metadata is listed with its error."""
    waiting = list[Iterator[tuple[gpuzarr.Group, str]]]()
    yield from entered(node, waiting)
    while waiting:
        group, name = next(waiting[-1], (None, ""))
        if group is None:
            waiting.pop()
            continue
        try:
            child = group[name]
            yield describe(child)
        except NotFoundError:
            continue
        except GpuZarrError as error:
            yield {"path": f"{group.name.rstrip('/')}/{name}", "kind": "error", "error": str(error)}
        else:
            yield from entered(child, waiting)


def entered(
    node: gpuzarr.Array | gpuzarr.Group, waiting: list[Iterator[tuple[gpuzarr.Group, str]]]
) -> Iterator[dict[str, Any]]:
    """Add the names below a node to those that wait; where the place lists none, that error in their place."""
    try:
        waiting.append(inside(node))
    except StoreError as error:
        yield {"path": f"{node.name.rstrip('/')}/*", "kind": "error", "error": str(error)}


def inside(node: gpuzarr.Array | gpuzarr.Group) -> Iterator[tuple[gpuzarr.Group, str]]:
    """The names below a group, each with the group; nothing for an array."""
    return ((node, name) for name in node.names()) if isinstance(node, gpuzarr.Group) else iter(())


def describe(node: gpuzarr.Array | gpuzarr.Group) -> dict[str, Any]:
    """Describe a node. Sizes are in bytes, `stored_bytes` that of all chunks.

    `nbytes` is None for strings, and what is stored is None where nobody can list it."""
    of_zarr = f"Zarr v{node.zarr_format}"
    common = {"path": node.name, "zarr_format": node.zarr_format, "format": node.metadata.foreign or of_zarr}
    common |= {"attributes": plain(node.attrs.asdict())}
    if isinstance(node, gpuzarr.Group):
        return {"kind": "group", **common, "ome": ome_facts(node)}
    verdict, why = gpu_decode(node.layout)
    stored = stored_of(node)
    return {
        "kind": "array",
        **common,
        "shape": list(node.shape),
        "chunks": plain(node.chunks),
        "shards": plain(node.shards),
        "data_type": node.metadata.data_type.name,
        "dtype": str(node.dtype),
        "order": node.order,
        "fill_value": plain(node.metadata.document.get("fill_value")),
        "codecs": [codec(c) for c in node.metadata.codecs],
        "dimension_names": plain(node.dimension_names),
        "nbytes": None if node.dtype.hasobject or node.dtype.kind == "T" else node.nbytes,
        "stored_bytes": stored.chunk_nbytes if stored else None,
        "stored_objects": stored.chunks if stored else None,
        "problem": problem(node) if stored and stored.chunks else None,
        "gpu_decode": verdict,
        "because": why or None,
    }


def stored_of(node: gpuzarr.Array) -> Stored | None:
    """What a store holds of an array; None where the place lists no names, as a web server."""
    try:
        return Stored.of(node.store, node.path, node.metadata)
    except StoreError:
        return None


def codec(value: Any) -> dict[str, Any]:
    """A codec in the form of v3 metadata; one of v2 has its v3 name, if there is one."""
    name = value.names[0] if value.names else value.ids[0]
    return {"name": name, "configuration": {f.name: plain(getattr(value, f.name)) for f in fields(value)}}


def plain(value: Any) -> Any:
    """Convert a value to the types of JSON."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and hasattr(value, "kind"):
        return codec(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


# the same, as text


def details(node: dict[str, Any]) -> list[str]:
    """An array, a line for each fact."""
    facts = {
        "shape": sizes(node["shape"]),
        "chunks": sizes(node["chunks"]),
        "shards": sizes(node["shards"]) if node["shards"] else "",
        "dtype": node["dtype"] + (f" ({node['data_type']})" if node["data_type"] != node["dtype"] else ""),
        "dimensions": ", ".join(str(name) for name in node["dimension_names"] or ()),
        "order": node["order"] if node["order"] != "C" else "",
        "fill value": json.dumps(node["fill_value"]),
        "codecs": ", ".join(codec_text(c) for c in node["codecs"]),
        "attributes": ", ".join(node["attributes"]),
        "stored": stored_text(node),
        "GPU decode": decode_text(node),
        "problem": node["problem"] or "",
    }
    return [f"array, {node['format']}", *(f"  {name:<11} {fact}" for name, fact in facts.items() if fact)]


def tree(nodes: list[dict[str, Any]]) -> list[str]:
    """A group and all nodes below it, a line for each."""
    lines = [f"/ group, {nodes[0]['format']}", *ome(nodes[0], 2)]
    for node in nodes[1:]:
        *parents, name = node["path"].strip("/").split("/")
        lines.append("  " * (len(parents) + 1) + name + line(node))
        lines += ome(node, len(parents) + 3)
    return lines


def ome(node: dict[str, Any], depth: int) -> list[str]:
    """What a node says of images, plates and wells of OME-Zarr."""
    return ["  " * depth + text for text in ome_lines(node["ome"])] if node.get("ome") else []


def line(node: dict[str, Any]) -> str:
    """A node in one line, without its name."""
    if node["kind"] == "group":
        return "/"
    if node["kind"] == "error":
        return f"  error: {node['error']}"
    codecs = ", ".join(c["name"] for c in node["codecs"])
    what = f"{sizes(node['shape'])} {node['dtype']}, chunks {sizes(node['chunks'])}, {codecs}"
    return f"  {what}, {stored_text(node)}, GPU decode: {decode_text(node)}" + (
        f"  problem: {node['problem']}" if node["problem"] else ""
    )


def sizes(shape: list[Any]) -> str:
    """(2, 3) for [2, 3]; an irregular axis of a rectilinear grid has brackets of its own."""
    inner = ", ".join(sizes(item) if isinstance(item, list) else str(item) for item in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def codec_text(value: dict[str, Any]) -> str:
    """A codec as text: zstd(level=3); of codecs inside a codec, only their names."""
    shown = []
    for name, item in value["configuration"].items():
        nested = isinstance(item, list) and bool(item) and all(isinstance(i, dict) and "name" in i for i in item)
        shown.append(f"{name}=[{', '.join(i['name'] for i in item)}]" if nested else f"{name}={item}")
    return f"{value['name']}({', '.join(shown)})" if shown else str(value["name"])


def stored_text(node: dict[str, Any]) -> str:
    files = "1 file" if node["stored_objects"] == 1 else f"{node['stored_objects']} files"
    decoded = "" if node["nbytes"] is None else f", of {node['nbytes']:,} decoded"
    if node["stored_bytes"] is None:
        return f"bytes that nobody can list{decoded}"
    return f"{node['stored_bytes']:,} bytes in {files}{decoded}"


def decode_text(node: dict[str, Any]) -> str:
    return node["gpu_decode"] + (f", because {node['because']}" if node["because"] else "")
