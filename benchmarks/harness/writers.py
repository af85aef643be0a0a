"""The same write by gpuzarr and by everything else that writes Zarr from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.peers import Reader
from benchmarks.harness.timing import same


def writer(peer: Reader, path: Path) -> Callable[[np.ndarray], Any]:
    """What writes all of the array at `path`. What raises is left out."""
    if peer.ours:
        import gpuzarr

        ours = gpuzarr.open_array(path, mode="r+", device=peer.name.split()[1])
        return lambda values: ours.set(..., values)
    if peer.name == "tensorstore":
        import tensorstore as ts

        driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
        kvstore = {"driver": "file", "path": f"{path}/", "file_io_sync": False}
        theirs = ts.open({"driver": driver, "kvstore": kvstore}, write=True).result()
        return lambda values: theirs.write(values).result()
    import zarr

    with peer.around():
        array = zarr.open_array(str(path), mode="r+")

    def assign(values: np.ndarray) -> None:
        with peer.around():
            array[...] = values

    return assign


def right(path: Path, values: np.ndarray) -> bool:
    import zarr

    return same(np.asarray(zarr.open_array(str(path), mode="r")[...]), values)
