"""Arrays read by other implementations of Zarr; a test that wants one skips where it is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr


def tensorstore_reads(path: Path) -> np.ndarray:
    ts = pytest.importorskip("tensorstore")
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    kvstore = {"driver": "file", "path": f"{path}/"}
    return np.asarray(ts.open({"driver": driver, "kvstore": kvstore}, read=True).result().read().result())


def zarrs_reads(path: Path) -> np.ndarray:
    pytest.importorskip("zarrs")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}):
        return np.asarray(zarr.open_array(path, mode="r")[...])
