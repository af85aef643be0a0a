"""The indexing conformance cases of the corpus.

They are of an index-transform algebra. What they say about the elements that are touched is
compared; what does not apply here, and why:
- kind `transform`: stored transforms have no spelling between brackets;
- infinite bounds (`box/implicit-and-infinite-bounds`): the axes of a Zarr array are finite;
- `points/empty`: no coordinates at all, so its rank is unknown;
- `normalized` domains and labels: a result of gpuzarr begins at 0 and has no labels (coordinates below 0 count
  from the end here, so every case is moved up by a constant first);
- errors but `step_zero`: they are of the JSON form, or of reversed intervals, which select nothing as in NumPy.
"""

import json

import numpy as np
import pytest

from gpuzarr.errors import SelectionError
from gpuzarr.indexing.selection import Outer, basic, pointwise
from tests import corpus

CASES = corpus.ROOT / "zarr_python_indexing" / "indexing"


def cases(*kinds):
    if not CASES.is_dir():
        pytest.skip(f"no corpus at {corpus.ROOT}")
    return [case for kind in kinds for case in json.loads((CASES / f"{kind}.json").read_text())]


def touched(output):
    """The coordinates on each axis that a normalised case touches, by its domain and its output maps."""
    domain = [
        np.arange(*ends) for ends in zip(output["input_inclusive_min"], output["input_exclusive_max"], strict=True)
    ]
    for each in output["output"]:
        inputs = domain[each["input_dimension"]] if "input_dimension" in each else np.array(each.get("index_array", 0))
        yield (each["offset"] + each.get("stride", 1) * inputs).reshape(-1)


def test_conformance_of_boxes_and_slices():
    up = 100  # below 0, coordinates would count from the end
    checked = 0
    for case in cases("box", "slice"):
        said, want = case["input"], case["normalized"]
        if any(not isinstance(end, int) for end in want["input_inclusive_min"] + want["input_exclusive_max"]):
            continue
        if said["kind"] == "slice":
            starts, stops, each = said["start"], said["stop"], said.get("step") or [1] * len(said["start"])
        else:
            starts, stops, each = want["input_inclusive_min"], want["input_exclusive_max"], [1] * want["input_rank"]
        selection = tuple(slice(a + up, b + up, s) for a, b, s in zip(starts, stops, each, strict=True))
        got = basic(selection, (200,) * len(selection))
        assert isinstance(got, Outer)
        assert [[i - up for i in axis] for axis in got.axes] == [axis.tolist() for axis in touched(want)], case["name"]
        checked += 1
    assert checked == 19


def test_conformance_of_points():
    checked = 0
    for case in cases("point", "points"):
        want = list(touched(case["normalized"]))
        coords = case["input"]["coords"]
        if case["input"]["kind"] == "point":
            got = basic(tuple(coords), (2**62,) * len(coords))
            assert got.shape == () and [list(axis) for axis in got.axes] == [axis.tolist() for axis in want]
        elif coords:
            columns = tuple(np.array(coords).T)
            assert [i.tolist() for i in pointwise(columns, (50,) * len(columns)).indices] == [w.tolist() for w in want]
        else:
            continue
        checked += 1
    assert checked == 5


def test_conformance_of_errors():
    wrong = [case["input"] for case in cases("errors") if case["error"] == "step_zero"]
    assert len(wrong) == 1
    selection = tuple(map(slice, wrong[0]["start"], wrong[0]["stop"], wrong[0]["step"]))
    with pytest.raises(SelectionError):
        basic(selection, (10,) * len(selection))
