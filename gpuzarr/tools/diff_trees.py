"""Compare two trees of arrays and groups: which nodes there are, their metadata, and their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from gpuzarr.api.opening import open as open_node
from gpuzarr.checks import one_of
from gpuzarr.errors import ArgumentError, GpuZarrError, NotFoundError
from gpuzarr.metadata import files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.progress import reporting
from gpuzarr.tools.copying.documents import DIMENSIONS
from gpuzarr.tools.diff_report import Difference, FieldDifference, NodeDifference, ValueDifference
from gpuzarr.tools.diff_values import compare as compare_values

Node = Array | Group
_SAME_TYPES = {
    "structured": "struct",
    "binary": "bytes",
    "variable_length_bytes": "bytes",
    "zarrs.optional": "optional",
}


def diff(
    a: Any,
    b: Any,
    *,
    compare: Literal["all", "data", "values"] = "all",
    tolerance: float = 0,
    progress: bool | Callable[[int, int], Any] = False,
) -> Difference:
    """Compare two trees, or two arrays: which nodes there are, their metadata, and all their values.

    Values are read in blocks, on the device of the arrays, and compared there. Two arrays of several dtypes are
    compared on the CPU, by their numbers as NumPy compares them. NaN equals NaN.

    Parameters
    ----------
    a, b
        Arrays or groups, or what `gpuzarr.open` takes, such as paths and URLs. They may be of any stores, and of
        several versions of Zarr.
    compare
        "all" (default): metadata and values. "data": not how arrays are stored, which is the version of Zarr, chunks,
        shards, codecs and the order of elements in a chunk. "values": shapes and values alone.
    tolerance
        Numbers are equal if their absolute difference is at most this.
    progress
        True: a progress bar is shown on stderr. A function is called as progress(elements done, all elements).

    Returns
    -------
    Difference
        True if there is a difference. What cannot be read is one, with its error.

    Raises
    ------
    NotFoundError
        Nothing is at `a` or `b`.
    ArgumentError
        An argument is wrong.

    Examples
    --------
    >>> a = gpuzarr.array([1, 2, 3])
    >>> b = gpuzarr.array([1, 5, 3], chunks=2)
    >>> found = gpuzarr.tools.diff(a, b, compare="data")
    >>> found.nodes[0].values
    ValueDifference(count=1, size=3, largest=3, first=(1,), a='2', b='5')
    >>> [field.name for field in gpuzarr.tools.diff(a, b).nodes[0].fields]
    ['chunks']
    """
    one_of(compare, "compare", "all", "data", "values")
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise ArgumentError(f"tolerance must be a number that is at least 0, not {tolerance!r}")
    found: dict[str, NodeDifference] = {}
    arrays: dict[str, tuple[Array, Array]] = {}
    compared = 0
    for path, left, right in pairs(opened(a), opened(b)):
        node = _node(path, left, right, compare)
        compared += node.only_in is None and node.error is None
        if node:
            found[path] = node
        if isinstance(left, Array) and isinstance(right, Array) and left.shape == right.shape:
            arrays[path] = left, right
    total = sum(left.size for left, _ in arrays.values())
    with reporting(progress, total, "diff", "element") as report:
        for path, (left, right) in arrays.items():
            values, error = _values(left, right, tolerance, report)
            if values or error:
                before = found.get(path, NodeDifference(path))
                found[path] = NodeDifference(path, None, before.fields, values, error)
    return Difference(tuple(found[path] for path in sorted(found)), compared, total)


def opened(given: Any) -> Node:
    """The array or the group that was given, or that is at a place."""
    return given if isinstance(given, Array | Group) else open_node(given, mode="r")


def pairs(a: Node, b: Node) -> Iterator[tuple[str, Any, Any]]:
    """The nodes of two trees by their paths: those that are in both as pairs, else None; in place of one that cannot
    be opened, its error. What is below a node that is in one tree only is left out."""
    waiting: list[tuple[str, Any, Any]] = [("", a, b)]
    while waiting:
        path, left, right = waiting.pop()
        yield path, left, right
        if isinstance(left, Group) and isinstance(right, Group):
            try:
                names = sorted({*left.names(), *right.names()}, reverse=True)
            except GpuZarrError as error:
                yield f"{path}/*".lstrip("/"), error, error
                continue
            below = [(f"{path}/{name}".lstrip("/"), _child(left, name), _child(right, name)) for name in names]
            waiting += [each for each in below if each[1] is not None or each[2] is not None]


def _child(group: Group, name: str) -> Node | GpuZarrError | None:
    try:
        return group[name]
    except NotFoundError:
        return None
    except GpuZarrError as error:
        return error


def _node(path: str, a: Any, b: Any, compare: str) -> NodeDifference:
    for node in (a, b):
        if isinstance(node, GpuZarrError):
            return NodeDifference(path, error=str(node))
    if a is None or b is None:
        return NodeDifference(path, only_in="b" if a is None else "a")
    left, right = facts(a, compare), facts(b, compare)
    names = [*left, *(name for name in right if name not in left)]
    only_in = [None if name in left and name in right else "a" if name in left else "b" for name in names]
    fields = [FieldDifference(n, left.get(n), right.get(n), one) for n, one in zip(names, only_in, strict=True)]
    return NodeDifference(path, fields=tuple(f for f in fields if f.only_in or _json(f.a) != _json(f.b)))


def _values(
    a: Array, b: Array, tolerance: float, report: Callable[[int], None]
) -> tuple[ValueDifference | None, str | None]:
    try:
        return compare_values(a, b, tolerance, report), None
    except GpuZarrError as error:
        return None, str(error)


def facts(node: Node, compare: str) -> dict[str, Any]:
    """The facts of metadata that are compared, by their names, as JSON."""
    found: dict[str, Any] = {"kind": "array" if isinstance(node, Array) else "group"}
    if isinstance(node, Array):
        found["shape"] = list(node.shape)
    if compare == "values":
        return found
    if isinstance(node, Array):
        names = node.dimension_names
        fill_value = None if node.fill_value is None else str(node.fill_value)
        found |= {"data_type": data_type(node), "fill_value": fill_value}
        found["dimension_names"] = (
            list(names) if names is not None and any(name is not None for name in names) else None
        )
    attributes = files.plain(node.attrs.asdict())  # so that NaN is what this library stores in its place
    if compare == "data" and isinstance(node, Array) and attributes.get(DIMENSIONS) == list(node.dimension_names or ()):
        attributes.pop(DIMENSIONS, None)  # how names of axes are stored in Zarr v2
    found |= {f"attributes[{json.dumps(name)}]": value for name, value in attributes.items()}
    return found if compare == "data" else found | stored(node)


def data_type(array: Array) -> str:
    """The data type of an array, with the dtype of NumPy where the name alone does not say it."""
    found = array.metadata.data_type
    name = "raw_bytes" if found.family == "void" else _SAME_TYPES.get(found.name, found.name)
    return name if found.variable or name == found.dtype.name else f"{name} ({found.dtype})"


def stored(node: Node) -> dict[str, Any]:
    """The facts of metadata that say how a node is stored."""
    if isinstance(node, Group):
        return {"zarr_format": node.zarr_format}
    codecs = [str(codec) for codec in node.metadata.codecs]
    grid = {"chunks": node.chunks, "shards": node.shards, "order": node.order}
    return {"zarr_format": node.zarr_format, **grid, "codecs": codecs}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
