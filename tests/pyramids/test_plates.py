"""Plates that are made: they pass the official schemas, open elsewhere, and are filled by many processes at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import ome
from gpuzarr.errors import ArgumentError, ExistsError, NotFoundError, ReadOnlyError
from gpuzarr.pyramids.metadata.rules import violations
from gpuzarr.tools.check_ome import check_ome
from tests.pyramids.made_images import VERSIONS, check_schema

VALUES = np.random.default_rng(0).integers(0, 1000, (2, 40, 36), np.uint16)
WELLS = (("B", "12"), ("A", "2"), ("B", "3"))


def filled(store: Any, version: str, **options: Any) -> ome.Plate:
    plate = ome.create_plate(store, rows=2, columns=12, name="screen", version=version, **options)
    for well in WELLS:
        for field in (1, 0):
            plate.write_image(well, VALUES + field, field=field, axes="cyx", scale=0.5, units="um", omero=["a", "b"])
    return plate


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plate_is_as_the_specification_has_it(version: str) -> None:
    store: dict[str, bytes] = {}
    made = filled(store, version)
    found = ome.open_plate(store)
    assert list(found) == ["A/2", "B/3", "B/12"] and set(made) == set(found)  # by rows and columns
    assert (found.rows, found.columns[-1], found.name, found.version) == (("A", "B"), "12", "screen", version)
    assert found["B/12"].fields == ("0", "1") and found["B/12"].image(0).version == version
    np.testing.assert_array_equal(found.well("B", 12).image(1).levels[0][...], VALUES + 1)
    assert made["A/2"].image("1").units == (None, "micrometer", "micrometer")
    for path, schema in (("", "strict_plate"), ("B/12", "strict_well"), ("B/12/1", "strict_image")):
        group = gpuzarr.open_group(store, path)
        check_schema(version, schema, group.attrs)
        findings: list[Any] = []
        check_ome(group, findings.append)
        assert findings == [] == violations(group.attrs.asdict())
        assert group.zarr_format == (2 if version == "0.4" else 3)
    assert isinstance(gpuzarr.open(store, path="A"), gpuzarr.Group)
    told = found.group.attrs.asdict()
    assert (told if version == "0.4" else told["ome"])["plate"]["field_count"] == 2


@pytest.mark.parametrize(
    "rows, columns, names",
    [
        (28, 1, (["Y", "Z", "AA", "AB"], ["1"])),
        ("AB", ["01", "02"], (["A", "B"], ["01", "02"])),
        (["top"], range(3), (["top"], ["0", "1", "2"])),
    ],
)
def test_names_of_rows_and_columns(rows: Any, columns: Any, names: Any) -> None:
    plate = ome.create_plate({}, rows, columns)
    assert (list(plate.rows)[-4:], list(plate.columns)) == names
    assert plate.create_image((plate.rows[-1], plate.columns[-1]), (8, 8), "uint8").shape == (8, 8)


def test_acquisitions() -> None:
    plate = ome.create_plate({}, 1, 2, acquisitions=["day 1", {"id": 7, "starttime": 0}])
    plate.create_image("A/1", (8, 8), "uint8", acquisition=7)
    plate.create_image("A/1", (8, 8), "uint8", field="b", acquisition=0)
    assert plate["A/1"].acquisitions == (7, 0) and plate.acquisitions[0] == {"id": 0, "name": "day 1"}
    with pytest.raises(ArgumentError, match="several acquisitions"):
        plate.create_image("A/2", (8, 8), "uint8")
    with pytest.raises(ArgumentError, match="no acquisition 1, only"):
        plate.create_image("A/2", (8, 8), "uint8", acquisition=1)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"rows": 0, "columns": 1}, "rows must be an integer from 1"),
        ({"rows": "AA", "columns": 1}, "different names"),
        ({"rows": "A", "columns": ["1-2"]}, "letters and digits"),
        ({"rows": "A", "columns": 1.5}, "columns are a number"),
        ({"rows": "A", "columns": []}, "1 to 1000"),
        ({"rows": 1, "columns": 1, "version": "0.3"}, "version is one of"),
        ({"rows": 1, "columns": 1, "acquisitions": [{"name": "x"}]}, "objects with an 'id'"),
        ({"rows": 1, "columns": 1, "acquisitions": [{"id": 0}, {"id": 0}]}, "same id twice"),
        ({"rows": 1, "columns": 1, "name": 3}, "name must be text"),
    ],
)
def test_wrong_arguments_make_nothing(options: dict[str, Any], words: str) -> None:
    store: dict[str, bytes] = {}
    with pytest.raises(ArgumentError, match=words):
        ome.create_plate(store, **options)
    assert store == {}


@pytest.mark.parametrize(
    "well, options, words",
    [
        ("A1", {}, "such as 'A/3'"),
        ("C/1", {}, "rows are A to B"),
        (("A", 13), {}, "columns 1 to 12"),
        (3, {}, "a well is"),
        ("A/1", {"field": -1}, "field must be"),
        ("A/1", {"field": "a/b"}, "field is a number"),
        ("A/1", {"field": ".."}, "field is a number"),
        ("A/1", {"path": "x"}, "takes no keyword 'path'"),
        ("A/1", {"scale": 0}, "scale must be positive"),
    ],
)
def test_wrong_images_make_nothing(well: Any, options: dict[str, Any], words: str) -> None:
    store: dict[str, bytes] = {}
    plate = ome.create_plate(store, 2, 12)
    before = dict(store)
    with pytest.raises(ArgumentError, match=words):
        plate.create_image(well, (8, 8), "uint8", **options)
    assert store == before and not plate


def test_a_plate_is_kept_and_others_are_errors() -> None:
    store: dict[str, bytes] = {}
    filled(store, "0.5")
    assert len(ome.create_plate(store, 2, 12, name="screen")) == 3
    for options in ({"rows": 3}, {"name": "b"}, {"acquisitions": 2}, {"version": "0.6"}, {"version": "0.4"}):
        with pytest.raises(ExistsError):
            ome.create_plate(store, **{"rows": 2, "columns": 12, "name": "screen"} | options)
    assert len(ome.create_plate(store, 2, 12, name="b", overwrite=True)) == 0
    with pytest.raises(ExistsError, match="multiscales"):
        image = ome.create_image({}, (8, 8), "uint8")
        ome.create_plate(image.group.store, 1, 1)
    with pytest.raises(ReadOnlyError):
        ome.open_plate(store).create_image("A/1", (8, 8), "uint8")
    with pytest.raises(KeyError, match="no well"):
        ome.open_plate(store)["A/1"]
    with pytest.raises(NotFoundError, match="open_plate"):
        ome.open_image(store)


AT_ONCE = """
import sys, numpy
from gpuzarr import ome
store, rank = sys.argv[1], int(sys.argv[2])
sys.stdin.readline()
for version in ("0.4", "0.5"):
    plate = ome.create_plate(f"{store}/{version}/plate.zarr", 4, 2, version=version)
    image = ome.create_image(f"{store}/{version}/image.zarr", (8, 8), "uint8", version=version)
    for column in (1, 2):
        plate.write_image(("ABCD"[(rank + column) % 4], column), numpy.full((8, 8), rank, "uint8"), field=rank)
        plate.write_image(("A", column), numpy.full((8, 8), rank, "uint8"), field=10 + rank)
        ome.write_labels(image, numpy.full((8, 8), rank, "uint32"), f"labels {rank} {column}")
"""


def test_processes_fill_a_plate_and_label_an_image_at_once(tmp_path: Any) -> None:
    """No well, field or name of labels is lost."""
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path)]
    running = [subprocess.Popen([*command, str(rank)], stdin=subprocess.PIPE) for rank in range(4)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.wait(100) for process in running] == [0, 0, 0, 0]
    for version in ("0.4", "0.5"):
        plate = ome.open_plate(tmp_path / version / "plate.zarr")
        assert list(plate) == [f"{row}/{column}" for row in "ABCD" for column in (1, 2)]
        labels = ome.open_image(tmp_path / version / "image.zarr").labels
        assert sorted(labels) == [f"labels {rank} {column}" for rank in range(4) for column in (1, 2)]
        for rank in range(4):
            for column in (1, 2):
                well = plate.well("ABCD"[(rank + column) % 4], column)
                assert well.image(str(rank)).levels[0][0, 0] == rank
                assert plate.well("A", column).image(str(10 + rank)).levels[0][0, 0] == rank
                assert labels[f"labels {rank} {column}"].levels[0][0, 0] == rank


def test_fields_that_there_are_not() -> None:
    plate = ome.create_plate({}, 1, 1)
    plate.create_image("A/1", (8, 8), "uint8")
    assert plate["A/1"].image(-1).shape == (8, 8)
    for field in (1, -2, "x", None, True + 1):
        with pytest.raises(NotFoundError, match=r"only \['0'\]"):
            plate["A/1"].image(field)
