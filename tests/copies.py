"""What copies of arrays and of hierarchies have in common with their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr


def facts(array: gpuzarr.Array, with_order: bool = True) -> tuple[Any, ...]:
    """What a copy keeps, beside the values."""
    attributes = {name: value for name, value in array.attrs.items() if name != "_ARRAY_DIMENSIONS"}
    names = array.dimension_names or None
    fill = array.metadata.fill_value
    bits = fill if isinstance(fill, str | bytes) else np.asarray(fill).tobytes()
    return array.shape, array.dtype, attributes, names, bits, array.order if with_order and array.ndim > 1 else "C"


def everything(place: Any) -> dict[str, Any]:
    """All nodes of a hierarchy, with their facts and values."""
    root = gpuzarr.open_group(place, mode="r", device="cpu", consolidated=False)
    found: dict[str, Any] = {"": dict(root.attrs)}
    for path, node in root.members(max_depth=None):
        is_array = isinstance(node, gpuzarr.Array)
        found[path] = (facts(node), node[...].tobytes()) if is_array else dict(node.attrs)
    return found


def files_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
