"""`gpuzarr info PATH [--json]`: what is there, how it is stored, and whether a GPU decodes it."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gpuzarr
from gpuzarr.errors import GpuZarrError, NotFoundError
from gpuzarr.read.explain import gpu_decode

METADATA = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


def add(commands: Any) -> None:
    parser = commands.add_parser("info", help="the tree of a store, and how its arrays are stored", description=__doc__)
    parser.add_argument("path", metavar="PATH", help="an array, a group or a store")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is at options.path. GpuZarrError if nothing is, or if it cannot be understood."""
    root = local(options.path)
    top = gpuzarr.open(options.path, device="cpu")
    nodes = [describe(top, root, ""), *below(top, root, "")]
    if options.json:
        print(json.dumps({"path": options.path, "nodes": nodes}, indent=1, allow_nan=False))
    else:
        print("\n".join(details(nodes[0]) if nodes[0]["kind"] == "array" else tree(nodes)))


def local(path: str) -> Path:
    """The folder that a path or a file:// URL names."""
    return Path(unquote(urlsplit(path).path) if path.startswith("file://") else path)


# what is known of the nodes, as JSON


def below(node: gpuzarr.Array | gpuzarr.Group, root: Path, path: str) -> Iterator[dict[str, Any]]:
    """All nodes below one, parents first. One that cannot be understood is named with its error."""
    if isinstance(node, gpuzarr.Array):
        return
    for name in node.names():
        place = f"{path}/{name}"
        try:
            child = node[name]
            yield describe(child, root, place)
        except NotFoundError:
            continue
        except GpuZarrError as error:
            yield {"path": place, "kind": "error", "error": str(error)}
        else:
            yield from below(child, root, place)


def describe(node: gpuzarr.Array | gpuzarr.Group, root: Path, path: str) -> dict[str, Any]:
    """One node. Sizes are bytes; `stored_bytes` is of chunks; `nbytes` is None for strings and objects."""
    common = {"path": path or "/", "zarr_format": node.zarr_format, "attributes": plain(node.attrs.asdict())}
    if isinstance(node, gpuzarr.Group):
        return {"kind": "group", **common}
    verdict, why = gpu_decode(node.layout)
    size, objects = stored(root / path.lstrip("/"))
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
        "stored_bytes": size,
        "stored_objects": objects,
        "gpu_decode": verdict,
        "because": why or None,
    }


def stored(folder: Path) -> tuple[int | None, int | None]:
    """Bytes and number of the chunk files below a folder."""
    if not folder.is_dir():
        return None, None
    files = [Path(at, name) for at, _, names in os.walk(folder) for name in names if name not in METADATA]
    return sum(file.stat().st_size for file in files), len(files)


def codec(value: Any) -> dict[str, Any]:
    """A codec as v3 metadata has it; one of v2 by its v3 name if it has one."""
    name = value.names[0] if value.names else value.ids[0]
    return {"name": name, "configuration": {f.name: plain(getattr(value, f.name)) for f in fields(value)}}


def plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and hasattr(value, "kind"):
        return codec(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


# the same for people


def details(node: dict[str, Any]) -> list[str]:
    """An array, a line a fact."""
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
    }
    return [f"array, Zarr v{node['zarr_format']}", *(f"  {name:<11} {fact}" for name, fact in facts.items() if fact)]


def tree(nodes: list[dict[str, Any]]) -> list[str]:
    """A group and all below, a line a node."""
    lines = [f"/ group, Zarr v{nodes[0]['zarr_format']}"]
    for node in nodes[1:]:
        *parents, name = node["path"].strip("/").split("/")
        lines.append("  " * (len(parents) + 1) + name + line(node))
    return lines


def line(node: dict[str, Any]) -> str:
    if node["kind"] == "group":
        return "/"
    if node["kind"] == "error":
        return f"  error: {node['error']}"
    codecs = ", ".join(c["name"] for c in node["codecs"])
    what = f"{sizes(node['shape'])} {node['dtype']}, chunks {sizes(node['chunks'])}, {codecs}"
    return f"  {what}, {stored_text(node)}, GPU decode: {decode_text(node)}"


def sizes(shape: list[Any]) -> str:
    """(2, 3) for [2, 3]; the irregular axes of a rectilinear grid in brackets of their own."""
    inner = ", ".join(sizes(item) if isinstance(item, list) else str(item) for item in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def codec_text(value: dict[str, Any]) -> str:
    """zstd(level=3); of codecs within a codec only the names."""
    shown = []
    for name, item in value["configuration"].items():
        nested = isinstance(item, list) and bool(item) and all(isinstance(i, dict) and "name" in i for i in item)
        shown.append(f"{name}=[{', '.join(i['name'] for i in item)}]" if nested else f"{name}={item}")
    return f"{value['name']}({', '.join(shown)})" if shown else str(value["name"])


def stored_text(node: dict[str, Any]) -> str:
    if node["stored_bytes"] is None:
        return "stored size not known"
    files = "1 file" if node["stored_objects"] == 1 else f"{node['stored_objects']} files"
    decoded = "" if node["nbytes"] is None else f", of {node['nbytes']:,} decoded"
    return f"{node['stored_bytes']:,} bytes in {files}{decoded}"


def decode_text(node: dict[str, Any]) -> str:
    return node["gpu_decode"] + (f", because {node['because']}" if node["because"] else "")
