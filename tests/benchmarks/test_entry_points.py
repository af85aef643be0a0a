"""Where gpuzarr is not installed, other packages find it as if it were."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.sessions import entry_points

FIND = """
from importlib.metadata import entry_points
for group in ("xarray.backends", "zarr.codec_pipeline", "iohub.zarr_implementations"):
    print([point.load().__name__ for point in entry_points(group=group) if "gpuzarr" in point.value])
"""


def test_entry_points_are_those_of_an_installation(tmp_path: Path) -> None:
    paths = [str(entry_points.write(tmp_path)), str(entry_points.ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    found = subprocess.run(
        [sys.executable, "-c", FIND], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    classes = ["GpuZarrBackendEntrypoint", "Pipeline", "GpuZarrImplementation"]
    assert found.stdout.splitlines() == [f"['{name}']" for name in classes]


def test_an_installation_is_found() -> None:
    assert not entry_points.missing()
