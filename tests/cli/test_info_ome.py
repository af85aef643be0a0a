"""`gpuzarr info` of OME-Zarr: levels with the sizes of samples, labels, plates and wells, and wrong metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import main
from tests.tools.images import written


def info(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["info", str(path), *more]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_an_image(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(str(tmp_path / "i"), np.zeros((2, 8, 16), "u2"), "cyx", version, levels=2)
    lines = info(tmp_path / "i", capsys).splitlines()
    assert lines[1:4] == [
        f"    OME-Zarr {version} image 'scan': axes c, y, x; 2 levels",
        "      0: 0, 2 x 8 x 16, sample y 0.5 micrometer, x 0.5 micrometer",
        "      1: 1, 2 x 4 x 8, sample y 1 micrometer, x 1 micrometer, first at 0.25, 0.25",
    ]
    assert lines[4].startswith("  0  (2, 8, 16) uint16") and lines[5].startswith("  1  (2, 4, 8) uint16")
    found = json.loads(info(tmp_path / "i", capsys, "--json"))["nodes"][0]["ome"]
    assert (found["version"], found["is_label"]) == (version, False)
    assert found["images"][0]["levels"][1] == {
        "path": "1",
        "shape": [2, 4, 8],
        "scale": [1.0, 1.0, 1.0],
        "translation": [0.0, 0.25, 0.25],
    }


def test_labels_of_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(str(tmp_path / "i"), np.zeros((8, 8), "u2"), "yx", levels=1)
    attributes = {"ome": {"version": "0.5", "labels": ["cells"]}}
    gpuzarr.create_group(str(tmp_path / "i"), path="labels", attributes=attributes)
    written(str(tmp_path / "i" / "labels" / "cells"), np.zeros((8, 8), "u2"), "yx", levels=1, **{"image-label": {}})
    text = info(tmp_path / "i", capsys)
    assert "    labels: cells\n" in text
    assert "        OME-Zarr 0.5 label image 'scan': axes y, x; 1 level\n" in text


def test_a_plate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wells = [
        {"path": f"{row}/{column}", "rowIndex": "AB".index(row), "columnIndex": column}
        for row in "AB"
        for column in range(7)
    ]
    plate = {
        "name": "p",
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": str(i)} for i in range(7)],
        "wells": wells,
    }
    root = gpuzarr.create_group(str(tmp_path / "p"), attributes={"ome": {"version": "0.5", "plate": plate}})
    well = {"images": [{"path": "0"}, {"path": "1"}]}
    root.create_group("A/0", attributes={"ome": {"version": "0.5", "well": well}})
    text = info(tmp_path / "p", capsys)
    assert "  OME-Zarr 0.5 plate 'p': 2 rows, 7 columns, 14 wells: A/0, A/1, " in text and ", and 2 more\n" in text
    assert "OME-Zarr 0.5 well: 2 images: 0, 1\n" in text


@pytest.mark.parametrize(
    ("ome", "told"),
    [
        ({"version": "0.5", "multiscales": [{"axes": [], "datasets": []}]}, "error: "),
        ({"version": "9.9", "multiscales": [{}]}, "9.9"),
        ("text", "error: "),
        ({"version": "0.5", "plate": {"rows": 3, "wells": [{"path": 3}, None]}}, "error: "),
        ({"version": "0.5", "labels": [1, None, "a"]}, "error: "),
        ({"version": "0.5", "well": {"images": [{"path": "0"}, 3]}}, "OME-Zarr 0.5 well: 1 images: 0"),
    ],
)
def test_wrong_metadata_is_told(ome: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpuzarr.create_group(str(tmp_path / "g"), attributes={"ome": ome}).create_array("a", shape=2, dtype="u1")
    text = info(tmp_path / "g", capsys)
    assert "OME-Zarr" in text and told in text and text.splitlines()[-1].startswith("  a  (2,) uint8")


def test_missing_levels_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(str(tmp_path / "i"), np.zeros((8, 8), "u2"), "yx", levels=2)
    (tmp_path / "i" / "1" / "zarr.json").unlink()
    assert "    OME-Zarr: error: attributes of '/'" in (text := info(tmp_path / "i", capsys))
    assert "there is no array at '1', where level 1 should be" in text and "  0  (8, 8) uint16" in text


def test_other_groups_say_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpuzarr.create_group(str(tmp_path / "g"), attributes={"labels": 3, "title": "t"})
    assert "OME" not in info(tmp_path / "g", capsys)
    assert json.loads(info(tmp_path / "g", capsys, "--json"))["nodes"][0]["ome"] is None
