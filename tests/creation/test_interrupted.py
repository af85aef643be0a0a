"""Calls that make, replace, move or copy nodes, interrupted anywhere: all is as before, or done, as summaries say, too.

An interrupt is raised at a line of this package, as Ctrl-C does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.stores.hidden import is_hidden
from tests.attack.rounds import FACTOR, rounds
from tests.interrupting import Interrupted
from tests.stores_of_tests import KINDS, objects

Call = Callable[[gpuzarr.Group], Any]
MOMENTS = 8  # of each call


def document(g: gpuzarr.Group) -> dict[str, Any]:
    return {"zarr_format": g.zarr_format, "node_type": "group", "attributes": {}}


def other(g: gpuzarr.Group) -> gpuzarr.Group:
    source = gpuzarr.group({}, zarr_format=g.zarr_format)  # type: ignore[arg-type]
    source["a"], source["h/z"] = [7, 7], [8]
    return source


CALLS: dict[str, Call] = {
    "move": lambda g: g.move("h", "q/r"),
    "copy": lambda g: g.copy("h", "q/r"),
    "copy over": lambda g: g.copy("a", "h", overwrite=True),
    "copy_all": lambda g: gpuzarr.copy_all(other(g), g, if_exists="replace"),
    "create_hierarchy": lambda g: list(g.create_hierarchy({"h": document(g), "n/m": document(g)}, overwrite=True)),
    "save_group": lambda g: gpuzarr.save_group(g.store, path="h", x=[1], y=[2]),
    "from itself": lambda g: gpuzarr.from_array(g.store, name="h/b", data=g["h/b"], chunks=4, overwrite=True),
    "create_array": lambda g: g.create_array("n/e/w", shape=5, dtype="i4"),
    "delete": lambda g: g.__delitem__("h"),
    "resize": lambda g: g["a"].resize(7),
    "attributes": lambda g: g["a"].attrs.update(k=1),
}


def filled(store: Any, zarr_format: Any) -> gpuzarr.Group:
    g = gpuzarr.create_group(store, zarr_format=zarr_format)
    g.create_array("h/b", data=np.arange(6), chunks=2)
    g["h/c/d"], g["a"] = np.arange(3), np.arange(2)
    gpuzarr.consolidate_metadata(store)
    return gpuzarr.open_group(store, mode="r+", use_consolidated=True)


def stored(store: Any) -> dict[str, bytes]:
    """What is there, without summaries."""
    found = {key: value for key, value in objects(store).items() if not is_hidden(key)}
    found.pop(".zmetadata", None)
    for key in [key for key in found if key.endswith("zarr.json")]:
        value = json.loads(found[key])
        value.pop("consolidated_metadata", None)
        found[key] = json.dumps(value).encode()
    return found


def view(group: gpuzarr.Group) -> list[Any]:
    return [(path, getattr(node, "shape", None), dict(node.attrs)) for path, node in group.members(None)]


@pytest.mark.parametrize("kind", ["local", "mapping"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", CALLS)
def test_at_any_line(name: str, zarr_format: int, kind: str, tmp_path: Path) -> None:
    call = CALLS[name]
    g = filled(store := KINDS[kind](tmp_path / "whole"), zarr_format)
    before, counted = stored(store), Interrupted(-1)
    counted(lambda: call(g))
    after = stored(store)
    for n in rounds(
        "interrupted changes of nodes", range(counted.lines)[:: max(counted.lines // (MOMENTS * FACTOR), 1)]
    ):
        g = filled(store := KINDS[kind](tmp_path / str(n)), zarr_format)
        Interrupted(n)(lambda: call(g))  # noqa: B023
        assert stored(store) in (before, after), f"line {n}"
        seen = view(gpuzarr.open_group(store, use_consolidated=False))
        assert view(gpuzarr.open_group(store, use_consolidated=True)) == seen == view(g), f"line {n}"
        shutil.rmtree(tmp_path / str(n), ignore_errors=True)
