"""Images as users hold them: levels by resolution, labels, colours, channels, plates, several images in a group."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import ome
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import ArgumentError, MetadataError, NotFoundError, ReadOnlyError, UnsupportedError
from gpuzarr.pyramids.downsample import downsample


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("method", ["mean", "mode", "nearest"])
def test_each_level_is_the_finer_one_reduced(device: Any, version: str, method: str) -> None:
    values = np.random.default_rng(3).integers(0, 5, (2, 21, 50, 50), np.uint16)
    options = {"axes": "czyx", "scale": (1, 2, 1, 1), "chunks": (1, 8, 8, 8), "method": method, "version": version}
    store: dict[str, bytes] = {}
    ome.write_image(store, values, device=device, background=0 if method == "mode" else None, **options)
    image = ome.open_image(store, device="cpu")
    np.testing.assert_array_equal(image.levels[0][...], values)
    assert image.factors and image.factors[0] == (1, 1, 2, 2) and image.method == method
    for step, level in zip(image.factors, image.levels[1:], strict=True):
        values = downsample(values, step, method, CPU, image.background)
        np.testing.assert_array_equal(level[...], values)


def test_labels_follow_their_image(tmp_path: Any) -> None:
    image = ome.create_image(tmp_path, (2, 30, 60, 60), "uint8", axes="czyx", scale=(1, 3, 1, 1), units="um", chunks=8)
    values = np.full((30, 60, 60), 2**63 + 1, np.uint64)
    labels = ome.write_labels(image, values, "nuclei", properties={7: {"area": 3}}, colors={7: (1, 2, 3)})
    found = ome.open_image(tmp_path).labels["nuclei"]
    assert (
        found.is_labels and found.method == "mode" and found.axes == ("z", "y", "x") and found.units[0] == "micrometer"
    )
    assert found.factors == tuple(step[1:] for step in image.factors or ()) and len(found.levels) == len(image.levels)
    assert found.scales == tuple((scale or ())[1:] for scale in image.scales)
    assert found.colors == {7: (1, 2, 3, 255)} and found.properties == {7: {"area": 3}}
    assert found.levels[-1][0, 0, 0] == 2**63 + 1 and labels.group.path == "labels/nuclei"
    assert found.metadata.label is not None and found.metadata.label["source"] == {"image": "../../"}
    with pytest.raises(KeyError):
        image.labels["none"]


def test_many_add_labels_at_once(tmp_path: Any) -> None:
    image = ome.create_image(tmp_path, (16, 16), "uint8")
    names = [f"label{i}" for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: ome.create_image(None, dtype="int32", labels_of=image, name=name), names))
    assert sorted(image.labels) == names


@pytest.mark.parametrize(
    "options, words",
    [
        ({"dtype": "float32"}, "integers"),
        ({"name": None}, "name"),
        ({"name": "a/b"}, "name"),
        ({"scale": 2}, "scale of their image"),
        ({"levels": 3}, "levels of their image"),
        ({"shape": (4, 4)}, "labels have 4 elements along 'y'"),
        ({"colors": {1: (1, 2)}}, "three or four integers"),
        ({"colors": {1.5: "#ff0000"}}, "a label is an integer"),
        ({"properties": {1: 3}}, "dict by names"),
    ],
)
def test_wrong_labels(options: dict[str, Any], words: str) -> None:
    image = ome.create_image({}, (16, 16), "uint8")
    with pytest.raises(ArgumentError, match=words):
        ome.create_image(None, **{"dtype": "uint8", "labels_of": image, "name": "n"} | options)
    assert list(image.labels) == []


def test_labels_of_an_image_that_is_only_read() -> None:
    store = ome.create_image({}, (16, 16), "uint8").group.store
    with pytest.raises(ReadOnlyError):
        ome.create_image(None, dtype="uint8", labels_of=ome.open_image(store), name="n")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"axes": "xy"}, None),
        ({"axes": "yc"}, "two or three axes of space"),
        ({"axes": "zyx"}, "do not fit"),
        ({"axes": ["y", "q"]}, "says its type"),
        ({"scale": 0}, "positive"),
        ({"scale": float("nan")}, "finite"),
        ({"scale": {"q": 1}}, "none of"),
        ({"method": "average"}, "method is one of"),
        ({"background": 0}, "for the method 'mode'"),
        ({"dtype": "S3"}, "dtype"),
        ({"version": "0.3"}, "version is one of"),
        ({"version": "0.4", "shards": 16}, "shards are for Zarr v3"),
        ({"chunks": 8, "shards": 12}, "whole chunks"),
        ({"omero": ["a", "b"]}, "2 channels, the image has 1"),
        ({"omero": [{"color": "red"}]}, "hexadecimal"),
        ({"omero": [{"window": {"min": None}}]}, "finite number"),
        ({"attributes": {"ome": {}}}, "made from the other arguments"),
        ({"colors": {1: "#ff0000"}}, "labels_of"),
    ],
)
def test_wrong_arguments_make_nothing(options: dict[str, Any], words: str | None) -> None:
    store: dict[str, bytes] = {}
    arguments = {"shape": (16, 16), "dtype": "uint8"} | options
    if words is None:
        ome.create_image(store, **arguments)
        return
    with pytest.raises((ArgumentError, MetadataError), match=words):
        ome.create_image(store, **arguments)
    assert store == {}


def test_windows_of_channels() -> None:
    image = ome.create_image({}, (2, 8, 8), "int16", axes="cyx", omero=["DAPI", {"label": "b", "window": (1, 9)}])
    assert image.omero is not None
    first, second = image.omero["channels"]
    assert first["window"] == {"min": -32768, "max": 32767, "start": -32768, "end": 32767} and first["active"]
    assert second["window"]["start"] == 1 and second["window"]["end"] == 9 and first["color"] != second["color"]


def test_shards_of_all_levels_hold_whole_chunks() -> None:
    image = ome.create_image({}, (100, 300, 300), "uint16", chunks=32, shards=128)
    assert image.levels[0].shards == (128, 128, 128) and image.levels[0].chunks == (32, 32, 32)
    assert ome.create_image({}, (300, 300, 300), "uint16", shards="auto").levels[0].shards == (256, 256, 256)
    assert ome.create_image({}, (3, 9000, 9000), "uint8", axes="cyx").levels[0].chunks == (1, 1024, 1024)


def test_it_shows_itself_and_is_pickled(tmp_path: Any) -> None:
    image = ome.create_image(tmp_path, (16, 16), "uint8", scale=0.5, units="nm", name="<b>")
    assert "16x16 uint8 axes=y,x levels=1 version=0.5" in repr(image)
    html = image._repr_html_()
    assert "nanometer" in html and "voxel 0.5 x 0.5" in html and "&lt;b&gt;" in html
    assert pickle.loads(pickle.dumps(image)).scales == image.scales


def test_several_multiscales() -> None:
    image = ome.create_image({}, (16, 16), "uint8", name="one")
    attributes = dict(image.group.attrs["ome"])
    second = dict(attributes["multiscales"][0]) | {"name": "two", "type": "gaussian"}
    image.group.attrs["ome"] = attributes | {"multiscales": [*attributes["multiscales"], second]}
    store = image.group.store
    assert ome.open_image(store).name == "one" and ome.open_image(store, multiscale=1).name == "two"
    assert ome.open_image(store, multiscale="two").method == "gaussian"
    assert ome.open_image(store, multiscale="two", method="mean").method == "mean"
    for wrong in (2, "three"):
        with pytest.raises(ArgumentError):
            ome.open_image(store, multiscale=wrong)


def plate(store: Any, wells: list[dict[str, Any]], version: str = "0.5") -> None:
    names = {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}]}
    document = {"ome": {"version": version, "plate": names | {"wells": wells, "name": "p"}}}
    gpuzarr.create_group(store, attributes=document)


def test_plates_wells_and_fields() -> None:
    store: dict[str, bytes] = {}
    plate(store, [{"path": "B/2", "rowIndex": 1, "columnIndex": 1}, {"path": "A/1"}])
    fields = {"ome": {"version": "0.5", "well": {"images": [{"path": "0", "acquisition": 3}, {"path": "1"}]}}}
    gpuzarr.open_group(store, mode="r+").create_group("B/2", attributes=fields)
    for field in "01":
        ome.create_image(store, (8, 8 + int(field)), "uint8", path=f"B/2/{field}")
    found = ome.open_plate(store)
    assert list(found) == ["B/2", "A/1"] and found.rows == ("A", "B") and found.name == "p"
    well = found.well("B", 2)
    assert (well.row, well.column, well.acquisitions) == ("B", "2", (3, None))
    assert [image.shape for image in well.images] == [(8, 8), (8, 9)] and well.image("1").shape == (8, 9)
    with pytest.raises(NotFoundError, match="no well"):
        found.well("A", 2)
    with pytest.raises(MetadataError, match="no group at 'A/1'"):
        found["A/1"]
    with pytest.raises(NotFoundError, match="not a plate"):
        ome.open_plate(store, "B/2/0")


@pytest.mark.parametrize("wrong", [{"path": "C/1"}, {"path": "A/1", "rowIndex": 2, "columnIndex": 0}, {}, 3])
def test_wrong_wells(wrong: Any) -> None:
    store: dict[str, bytes] = {}
    plate(store, [wrong])
    with pytest.raises(MetadataError, match=r"ome.plate.wells\[0\]"):
        ome.open_plate(store)


def test_images_of_bioformats2raw() -> None:
    store: dict[str, bytes] = {}
    root = gpuzarr.create_group(store, attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    for path in ("0", "1", "named"):
        ome.create_image(store, (8, 8), "uint8", path=path)
    assert list(ome.open_images(store)) == ["0", "1"] and list(ome.open_images(store, "1")) == [""]
    root.create_group("OME", attributes={"ome": {"version": "0.5", "series": ["named", "0"]}})
    assert list(ome.open_images(store)) == ["named", "0"]
    with pytest.raises(NotFoundError, match="open_images"):
        ome.open_image(store)
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 4}
    with pytest.raises(UnsupportedError, match="reads 3"):
        ome.open_images(store)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda image: ome.write_image(np.zeros((8, 8)), "a.zarr"), "a store, and then an array"),
        (lambda image: ome.write_image({}, np.zeros((8, 8)), scale_factors=[2, 4]), "give factors"),
        (lambda image: ome.write_image({}, np.zeros((8, 8)), unit="um"), "give units"),
        (lambda image: ome.write_image({}, np.zeros((8, 8)), factors=[2, 4, 8]), "a list of such lists"),
        (lambda image: ome.write_labels("a.zarr", np.zeros((8, 8), int), "cells"), "labels need their image"),
        (lambda image: ome.open_image(image.group.store, mode="w"), "mode is one of"),
    ],
)
def test_words_of_other_libraries_are_answered(call: Any, words: str) -> None:
    image = ome.create_image({}, (8, 8), "uint8")
    with pytest.raises(ArgumentError, match=words):
        call(image)
    assert ome.open_image(image.group.store, mode="a").shape == (8, 8)


def test_an_image_is_not_an_array_by_itself() -> None:
    image = ome.create_image({}, (8, 8), "uint8")
    with pytest.raises(TypeError, match=r"image.levels\[0\]"):
        np.asarray(image)
    with pytest.raises(KeyError, match="no labels have the name 'cells'"):
        image.labels["cells"]
    assert "cells" not in image.labels and image.labels.get("cells") is None
    with pytest.raises(NotFoundError, match="it is an image, which"):
        ome.open_plate(image.group.store)


def test_without_scales_it_is_said_what_there_is() -> None:
    document = ome.create_image({}, (8, 8), "uint8", version="0.6").group.attrs.asdict()
    step = document["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]
    del step["scale"]
    step |= {"type": "affine", "affine": [[1, 0.1, 0], [0, 1, 0]]}
    group = gpuzarr.create_group({}, attributes=document)
    group.create_array("0", shape=(8, 8), dtype="uint8")
    with pytest.raises(ArgumentError, match="transformations of the types"):
        ome.open_image(group.store).level(resolution=1)
