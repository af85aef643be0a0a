"""What a copy will do: which nodes there are, what each becomes, and how its chunks are copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, GpuZarrError, NotFoundError
from gpuzarr.indexing.layout import layout
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.tools.copying.changes import Changes, Part, part_of
from gpuzarr.tools.copying.documents import copied_metadata, value_cast
from gpuzarr.tools.copying.values import ValueCast

FORMAT = 1


@dataclass(frozen=True)
class ArrayPlan:
    """What becomes of an array. `path`: below the root of the copy. `decodes`: all its chunks, whatever is changed."""

    path: str
    array: Array
    metadata: ArrayMetadata
    part: Part
    cast: ValueCast | None
    decodes: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether the bytes of its chunks stay what they are, so that they need not be decoded."""
        if self.decodes:
            return False
        old, new = self.array.metadata, self.metadata
        is_whole = old.shape == new.shape and self.cast is None and self.part == part_of(self.array, None)
        is_alike = old.axes == new.axes and old.codecs == new.codecs and old.data_type.dtype == new.data_type.dtype
        is_zarr = old.why_read_only is None and old.data_type.family == new.data_type.family
        return is_whole and is_alike and is_zarr and _same_fill(old.fill_value, new.fill_value)

    @property
    def objects(self) -> int:
        """How many objects the copy has at most."""
        return prod(layout(self.metadata, self.path).grid(0))


def _same_fill(a: Any, b: Any) -> bool:
    if isinstance(a, np.generic | np.ndarray) and isinstance(b, np.generic | np.ndarray):
        return bool(a.tobytes() == b.tobytes()) if not a.dtype.hasobject else bool(a == b)
    return bool(a == b)


@dataclass(frozen=True)
class Plan:
    """What becomes of all nodes, by their paths below the root of the copy. `left_out`: why others cannot be read."""

    groups: dict[str, GroupMetadata]
    arrays: tuple[ArrayPlan, ...]
    is_consolidated: bool
    left_out: tuple[str, ...] = ()

    @property
    def nodes(self) -> dict[str, Node]:
        """The metadata of all nodes of the copy."""
        return {**self.groups, **{one.path: one.metadata for one in self.arrays}}

    @property
    def fingerprint(self) -> str:
        """A text that differs where the metadata of the source, or what becomes of it, does."""
        arrays = [
            [
                one.path,
                one.array.metadata.to_dict(),
                one.metadata.to_dict(),
                [[each.start, each.stop, each.step] for each in one.part.axes],
                one.part.dropped,
                repr(one.cast),
                one.decodes,
            ]
            for one in self.arrays
        ]
        groups = {path: [group.zarr_format, group.attributes] for path, group in self.groups.items()}
        said = json.dumps([FORMAT, groups, arrays], sort_keys=True, default=repr)
        return sha256(said.encode(errors="surrogatepass")).hexdigest()


def plan_of(
    source: Array | Group,
    changes: Changes,
    include: Sequence[str],
    exclude: Sequence[str],
    device: str | Device,
    on_error: str = "raise",
) -> Plan:
    """Plan a copy. Nothing is written. MetadataError, naming the array, for what there cannot be."""
    left_out: list[str] | None = [] if on_error == "skip" else None
    nodes = {"": source} if isinstance(source, Array) else _chosen(source, include, exclude, left_out)
    if isinstance(source, Array) and (include or exclude):
        raise ArgumentError(f"include and exclude are for groups, and {source.name!r} is an array")
    arrays = {path: node for path, node in nodes.items() if isinstance(node, Array)}
    changes.check_names(list(arrays.values()))
    groups = {path: _group(node, changes) for path, node in nodes.items() if isinstance(node, Group)}
    known = isinstance(source, Group) and source.metadata.consolidated is not None
    planned = [_array(path, array, changes, device, on_error != "raise") for path, array in arrays.items()]
    return Plan(groups, tuple(planned), known, tuple(left_out or ()))


def _array(path: str, array: Array, changes: Changes, device: str | Device, decodes: bool) -> ArrayPlan:
    cast, part = value_cast(array, changes), part_of(array, changes.selection)
    made = copied_metadata(array, part, changes, cast)
    Array(array.store, array.path, made, "cpu" if cast else device).layout.check()
    return ArrayPlan(path, array, made, part, cast, decodes)


def _group(group: Group, changes: Changes) -> GroupMetadata:
    version = changes.zarr_format or group.zarr_format
    return GroupMetadata(version, dict(group.metadata.attributes))


def _chosen(
    source: Group, include: Sequence[str], exclude: Sequence[str], left_out: list[str] | None
) -> dict[str, Array | Group]:
    """The nodes that are copied, by their paths below the group, which is one of them. `left_out`: takes the errors of
    those that cannot be opened; where it is None, they are raised."""
    listed = source.members(max_depth=None) if left_out is None else list(_readable(source, "", exclude, left_out))
    kept = [(path, node) for path, node in listed if not _matches(path, exclude)]
    if include:
        wanted = [path for path, node in kept if _matches(path, include)]
        if not wanted:
            raise ArgumentError(f"no node of {source!r} is chosen by include={list(include)}, exclude={list(exclude)}")
        above = {parent for path in wanted for parent in _parents(path)}
        kept = [(path, node) for path, node in kept if path in above]
    return {"": source, **dict(kept)}


def _readable(
    group: Group, path: str, exclude: Sequence[str], left_out: list[str]
) -> Iterator[tuple[str, Array | Group]]:
    """The nodes below a group that can be opened, as `members` has them."""
    for name in group.names():
        below = f"{path}/{name}".lstrip("/")
        if _matches(below, exclude):
            continue
        try:
            node = group[name]
        except NotFoundError:  # an object that is no node
            continue
        except GpuZarrError as error:
            left_out.append(f"{'/' + below!r}: {error}")
            continue
        yield below, node
        if isinstance(node, Group):
            yield from _readable(node, below, exclude, left_out)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a node, or a group above it, has a path that matches one of the patterns, in which `*` is any text."""
    return any(fnmatchcase(each, pattern.strip("/")) for pattern in patterns for each in _parents(path))


def _parents(path: str) -> list[str]:
    """A path, and those of the groups above it but the root."""
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def of_device(plan: ArrayPlan, device: str | Device) -> Array:
    """The source of a plan, read on a device."""
    array = plan.array
    return Array(array.store, array.path, array.metadata, device, None, array.options)
