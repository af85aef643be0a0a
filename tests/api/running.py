"""Run a program with zarr-python and with gpuzarr, and describe what came of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from tests.data import without_defaults

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


@dataclass
class Outcome:
    """The result of a program, or its error, and what is in its store."""

    result: Any = None
    error: Exception | None = None
    documents: dict[str, Any] = field(default_factory=dict)
    chunks: set[str] = field(default_factory=set)


def run(program: str, module: ModuleType) -> Outcome:
    """Run a program in which `zarr` is this module. Errors are caught; warnings are not shown."""
    store: dict[str, Any] = {}
    names: dict[str, Any] = {"zarr": module, "np": np, "S": store, "seen": seen}
    outcome = Outcome()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(program, names)
            outcome.result = plain(names["R"])
        except Exception as error:
            outcome.error = error
        finally:
            module.config.reset()
    for key, value in store.items():
        if key.rpartition("/")[2] in METADATA:
            text = value if isinstance(value, bytes) else value.to_bytes()
            outcome.documents[key] = without_defaults(json.loads(text))
        else:
            outcome.chunks.add(key)
    return outcome


def caught_alike(ours: Exception, theirs: Exception) -> bool:
    """True if an `except` that catches an error of zarr-python catches ours: by its class there, or that of Python."""
    kinds = type(theirs).__mro__
    return any(isinstance(ours, kind) for kind in kinds[: kinds.index(Exception)])


def seen(node: Any) -> Any:
    """All that a user sees of a node."""
    if hasattr(node, "dtype"):
        about = [node.shape, node.chunks, node.shards, plain(node.fill_value), dict(node.attrs), node.path, node.name]
        about += [node.basename, node.read_only, node.ndim, node.size, node.metadata.zarr_format]
        return [*about, plain(np.asarray(node[...]))]
    members = sorted(name for name, _ in node.members(max_depth=None))
    return [members, dict(node.attrs), node.path, node.name, node.basename, node.read_only, node.metadata.zarr_format]


def plain(value: Any) -> Any:
    """A value of which `==` tells whether two libraries gave the same."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        dtype = array.dtype if array.dtype.kind == "T" else array.dtype.newbyteorder("=")
        return "array", dtype.str, array.shape, repr(array.tolist())
    if isinstance(value, np.dtype):
        return value.newbyteorder("=").str
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list | tuple) else value
