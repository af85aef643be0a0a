"""What a copy will do: which nodes there are, what each becomes, and how its chunks are copied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError
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
    """What becomes of all nodes, by their paths below the root of the copy."""

    groups: dict[str, GroupMetadata]
    arrays: tuple[ArrayPlan, ...]
    is_consolidated: bool

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
    decodes: bool = False,
) -> Plan:
    """Plan a copy. Nothing is written. MetadataError, naming the array, for what there cannot be."""
    nodes = {"": source} if isinstance(source, Array) else _chosen(source, include, exclude)
    if isinstance(source, Array) and (include or exclude):
        raise ArgumentError(f"include and exclude are for groups, and {source.name!r} is an array")
    arrays = {path: node for path, node in nodes.items() if isinstance(node, Array)}
    changes.check_names(list(arrays.values()))
    groups = {path: _group(node, changes) for path, node in nodes.items() if isinstance(node, Group)}
    known = isinstance(source, Group) and source.metadata.consolidated is not None
    planned = [_array(path, array, changes, device, decodes) for path, array in arrays.items()]
    return Plan(groups, tuple(planned), known)


def _array(path: str, array: Array, changes: Changes, device: str | Device, decodes: bool) -> ArrayPlan:
    cast, part = value_cast(array, changes), part_of(array, changes.selection)
    made = copied_metadata(array, part, changes, cast)
    Array(array.store, array.path, made, "cpu" if cast else device).layout.check()
    return ArrayPlan(path, array, made, part, cast, decodes)


def _group(group: Group, changes: Changes) -> GroupMetadata:
    version = changes.zarr_format or group.zarr_format
    return GroupMetadata(version, dict(group.metadata.attributes))


def _chosen(source: Group, include: Sequence[str], exclude: Sequence[str]) -> dict[str, Array | Group]:
    """The nodes that are copied, by their paths below the group, which is one of them."""
    listed = source.members(max_depth=None)
    kept = [(path, node) for path, node in listed if not _matches(path, exclude)]
    if include:
        wanted = [path for path, node in kept if _matches(path, include)]
        if not wanted:
            raise ArgumentError(f"no node of {source!r} is chosen by include={list(include)}, exclude={list(exclude)}")
        above = {parent for path in wanted for parent in _parents(path)}
        kept = [(path, node) for path, node in kept if path in above]
    return {"": source, **dict(kept)}


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
