"""Tell other packages of gpuzarr where it is run from its sources and not installed.

xarray, zarr-python and iohub find it by its entry points, which an installation writes beside the package.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from benchmarks.sessions.suite import ROOT


def missing() -> bool:
    """Whether no installation of gpuzarr is found."""
    try:
        distribution("gpuzarr")
    except PackageNotFoundError:
        return True
    return False


def write(folder: Path) -> Path:
    """Write the entry points of pyproject.toml, as an installation does, into a folder, which belongs on the path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = folder / f"gpuzarr-{project['version']}.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gpuzarr\nVersion: {project['version']}\n")
    groups = [f"[{group}]\n{_lines(points)}" for group, points in project["entry-points"].items()]
    (about / "entry_points.txt").write_text("\n".join(groups))
    return folder


def _lines(points: dict[str, str]) -> str:
    return "".join(f"{name} = {place}\n" for name, place in points.items())
