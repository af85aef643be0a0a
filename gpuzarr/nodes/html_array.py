"""The HTML that notebooks show of an array: facts, the grid of its chunks, attributes. Nothing is read for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

from gpuzarr.nodes.html import attributes_of, page, reason, size, table, told, version
from gpuzarr.nodes.html_grid import drawing
from gpuzarr.nodes.sizes import shards_of
from gpuzarr.read.explain import gpu_decode


def array_html(array: Any) -> str:
    """The HTML of a `gpuzarr.Array`; it never fails."""
    facts = table((name, told(partial(fact, array))) for name, fact in FACTS.items() if _is_told(name, array))
    grid = f'<div style="display:flex;flex-wrap:wrap;gap:24px">{facts}{_grid(array)}</div>'
    return page(f"gpuzarr.Array {told(lambda: array.name)}", grid + attributes_of(array.metadata.attributes))


def brief(array: Any) -> str:
    """An array in a few words: shape, dtype, chunks, and bytes."""
    return told(lambda: f"{array.shape} {_dtype(array)}, chunks {_sizes(array.chunks)}, {size(array.nbytes)}")


def _is_told(name: str, array: Any) -> bool:
    return name != "Shards" or shards_of(array.metadata.codecs) is not None


def _grid(array: Any) -> str:
    try:
        metadata, shards = array.metadata, shards_of(array.metadata.codecs)
        names = metadata.dimension_names or (None,) * len(metadata.shape)
        return drawing(array.layout.axes, None if shards is None else metadata.axes, names)
    except Exception as error:  # of a layout that cannot be told
        return f"<div>no drawing: {reason(error)}</div>"


def _shape(array: Any) -> str:
    names = array.dimension_names
    if names is None:
        return str(array.shape)
    both = zip(names, array.shape, strict=True)
    return f"({', '.join(f'{name}: {n:,}' if name else f'{n:,}' for name, n in both)})"


def _dtype(array: Any) -> str:
    return str(array.metadata.data_type.name)


def _sizes(sizes: tuple[Any, ...]) -> str:
    """A shape; of an axis whose chunks differ, the sizes of its first chunks."""
    parts = [str(n if isinstance(n, int) or len(n) <= 3 else [*n[:3], ...]).replace("Ellipsis", "…") for n in sizes]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _chunks(array: Any) -> str:
    return f"{_sizes(array.chunks)}, {_bytes(array, array.chunks)}{array.nchunks:,} in all"


def _shards(array: Any) -> str:
    count = prod(axis.count for axis in array.metadata.axes)
    return f"{_sizes(array.shards)}, {_bytes(array, array.shards)}{count:,} in all"


def _bytes(array: Any, sizes: tuple[Any, ...]) -> str:
    is_regular = all(isinstance(n, int) for n in sizes)
    return f"{size(prod(sizes) * array.dtype.itemsize)} each, " if is_regular else ""


def _codecs(array: Any) -> str:
    layout = array.layout
    return " → ".join(name for name, _ in layout.chain(layout.first_chunk_shape).where())


def _gpu(array: Any) -> str:
    verdict, why = gpu_decode(array.layout)
    return f"{verdict}: {why}" if why else verdict


FACTS: dict[str, Callable[[Any], Any]] = {  # by their names, in the order in which they are shown
    "Shape": _shape,
    "Data type": _dtype,
    "Bytes": lambda array: f"{size(array.nbytes)}, decoded",
    "Chunks": _chunks,
    "Shards": _shards,
    "Codecs": _codecs,
    "Fill value": lambda array: array.fill_value if array.metadata.is_filled else "none",
    "Store": lambda array: array.store,
    "Format": version,
    "Device": lambda array: array.device.name,
    "GPU decodes": _gpu,
}
