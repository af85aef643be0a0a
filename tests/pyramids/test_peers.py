"""Other libraries open what is written here, and what they write opens here, with the same levels and places."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from gpuzarr import ome

VALUES = np.random.default_rng(0).integers(0, 1000, (2, 24, 40, 36), np.uint16)
SCALE, MOVED = (1.0, 2.0, 0.5, 0.5), (0.0, 0.0, 3.5, 0.0)


def written(path: Any, version: str) -> ome.Image:
    options = {"axes": "czyx", "scale": SCALE, "units": "um", "translation": MOVED, "chunks": (1, 8, 8, 8)}
    image = ome.write_image(path, VALUES, version=version, omero=["DAPI", "GFP"], **options)
    ome.write_labels(image, VALUES[0].astype(np.uint32), "cells", colors={1: "#ff0000"})
    return image


def places(image: ome.Image) -> list[tuple[Any, ...]]:
    found = zip(image.levels, image.scales, image.translations, strict=True)
    return [(level.shape, pytest.approx(scale), pytest.approx(moved)) for level, scale, moved in found]


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_ngff_zarr_opens_it(tmp_path: Any, version: str) -> None:
    ngff = pytest.importorskip("ngff_zarr")
    image = written(tmp_path / "a.zarr", version)
    found = ngff.from_ngff_zarr(str(tmp_path / "a.zarr"))
    told = [
        (one.data.shape, *(tuple(each[a] for a in "czyx") for each in (one.scale, one.translation)))
        for one in found.images
    ]
    assert told == places(image)
    np.testing.assert_array_equal(np.asarray(found.images[1].data), image.levels[1][...])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_opens_it(tmp_path: Any, version: str) -> None:
    reader, io = pytest.importorskip("ome_zarr.reader"), pytest.importorskip("ome_zarr.io")
    image = written(tmp_path / "a.zarr", version)
    nodes = list(reader.Reader(io.parse_url(str(tmp_path / "a.zarr")))())
    steps = nodes[0].metadata["coordinateTransformations"]
    whole = [[*each, {"translation": [0.0] * 4}][:2] for each in steps]
    shapes = [data.shape for data in nodes[0].data]
    assert [(n, tuple(s["scale"]), tuple(t["translation"])) for n, (s, t) in zip(shapes, whole, strict=True)] == places(
        image
    )
    assert any(node.zarr.basename() == "cells" for node in nodes)
    np.testing.assert_array_equal(np.asarray(nodes[0].data[2]), image.levels[2][...])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_iohub_opens_it(tmp_path: Any, version: str) -> None:
    iohub = pytest.importorskip("iohub")
    image = written(tmp_path / "a.zarr", version)
    with iohub.open_ome_zarr(tmp_path / "a.zarr", mode="r") as found:
        assert found.channel_names == ["DAPI", "GFP"]
        for i, (level, scale, moved) in enumerate(places(image)):
            assert found[str(i)].shape == level
            assert tuple(found.get_effective_scale(str(i))) == scale
            assert tuple(found.get_effective_translation(str(i))) == moved


MODELS = {"0.4": "ome_zarr_models.v04", "0.5": "ome_zarr_models.v05", "0.6": "ome_zarr_models.v06"}  # from 1.8 on


@pytest.mark.parametrize("version", MODELS)
def test_ome_zarr_models_opens_it(tmp_path: Any, version: str) -> None:
    models, zarr = pytest.importorskip("ome_zarr_models"), pytest.importorskip("zarr")
    pytest.importorskip(MODELS[version])
    written(tmp_path / "a.zarr", version)
    kinds = {
        path: type(models.open_ome_zarr(zarr.open_group(tmp_path / "a.zarr" / path, mode="r"))).__name__
        for path in ("", "labels")
    }
    assert kinds == {"": "Image", "labels": "Labels"}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_yaozarrs_finds_nothing_wrong(tmp_path: Any, version: str) -> None:
    yaozarrs = pytest.importorskip("yaozarrs")
    written(tmp_path / "a.zarr", version)
    assert yaozarrs.validate_zarr_store(str(tmp_path / "a.zarr")) is not None


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_images_of_ngff_zarr_open_here(tmp_path: Any, version: str) -> None:
    ngff = pytest.importorskip("ngff_zarr")
    axes = "czyx"
    image = ngff.to_ngff_image(
        VALUES, list(axes), dict(zip(axes, SCALE, strict=True)), dict(zip(axes, MOVED, strict=True))
    )
    made = ngff.to_multiscales(image, [2, 4], method=ngff.Methods.ITKWASM_BIN_SHRINK, chunks=16)
    ngff.to_ngff_zarr(str(tmp_path / "a.zarr"), made, version=version)
    found = ome.open_image(tmp_path / "a.zarr")
    assert found.version.startswith(version) and found.axes == tuple(axes)
    told = [
        (one.data.shape, *(tuple(each[a] for a in axes) for each in (one.scale, one.translation)))
        for one in made.images
    ]
    assert told == places(found)
    np.testing.assert_array_equal(found.levels[0][...], VALUES)
    np.testing.assert_array_equal(found.levels[1][...], np.asarray(made.images[1].data))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_ome_zarr_open_here(tmp_path: Any, version: str) -> None:
    writer, formats = pytest.importorskip("ome_zarr.writer"), pytest.importorskip("ome_zarr.format")
    form = formats.FormatV04() if version == "0.4" else formats.FormatV05()
    scale = dict(zip("czyx", SCALE, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer.write_image(VALUES, str(tmp_path / "a.zarr"), (2, 4), axes="czyx", fmt=form, scale=scale)
    found = ome.open_image(tmp_path / "a.zarr")
    assert found.version == version and found.scales[0] == SCALE
    assert [level.shape for level in found.levels] == [(2, 24, 40, 36), (2, 24, 20, 18), (2, 24, 10, 9)]
    assert found.scales[2] == (1.0, 2.0, 2.0, 2.0) and found.factors == ((1, 1, 2, 2), (1, 1, 2, 2))
    assert found.translations[2] == (0.0, 0.0, 0.75, 0.75)
    np.testing.assert_array_equal(found.levels[0][...], VALUES)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plates_of_iohub_open_here(tmp_path: Any, version: str) -> None:
    iohub = pytest.importorskip("iohub")
    options = {"layout": "hcs", "mode": "w-", "channel_names": ["a", "b"], "version": version}
    with iohub.open_ome_zarr(tmp_path / "p.zarr", **options) as plate:
        for row, column, field in (("A", "1", "0"), ("A", "1", "1"), ("B", "3", "0")):
            plate.create_position(row, column, field).create_image("0", VALUES[None])
    found = ome.open_plate(tmp_path / "p.zarr")
    assert list(found) == ["A/1", "B/3"] and len(found["A/1"].images) == 2
    np.testing.assert_array_equal(found.well("B", 3).image(0).levels[0][0], VALUES)


def made_plate(path: Any, version: str) -> ome.Plate:
    plate = ome.create_plate(path, rows=["A", "B"], columns=3, name="screen", version=version)
    for well, field in (("A/1", 0), ("A/1", 1), ("B/3", 0)):
        options = {"axes": "tczyx", "scale": (1.0, *SCALE), "units": "um", "omero": ["DAPI", "GFP"], "chunks": 16}
        plate.write_image(well, VALUES[None] + field, field=field, **options)
    return plate


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_iohub_opens_plates(tmp_path: Any, version: str) -> None:
    iohub = pytest.importorskip("iohub")
    made_plate(tmp_path / "p.zarr", version)
    with iohub.open_ome_zarr(tmp_path / "p.zarr", layout="hcs", mode="r") as found:
        assert [path for path, _ in found.positions()] == ["A/1/0", "A/1/1", "B/3/0"]
        position = found["A/1/1"]
        assert position.channel_names == ["DAPI", "GFP"] and position.scale == [1.0, *SCALE]
        np.testing.assert_array_equal(np.asarray(position["0"][0]), VALUES + 1)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_opens_plates(tmp_path: Any, version: str) -> None:
    reader, io = pytest.importorskip("ome_zarr.reader"), pytest.importorskip("ome_zarr.io")
    made_plate(tmp_path / "p.zarr", version)
    (node, *_) = list(reader.Reader(io.parse_url(str(tmp_path / "p.zarr")))())
    whole = np.asarray(node.data[0])  # the first fields, in a picture of all rows and columns
    assert whole.shape == (1, 2, 24, 2 * 40, 3 * 36)
    np.testing.assert_array_equal(whole[0, ..., :40, :36], VALUES)
    np.testing.assert_array_equal(whole[0, ..., 40:, 72:], VALUES)
    assert not whole[..., :40, 36:].any()


@pytest.mark.parametrize("version", MODELS)
def test_ome_zarr_models_opens_plates(tmp_path: Any, version: str) -> None:
    models, zarr = pytest.importorskip("ome_zarr_models"), pytest.importorskip("zarr")
    pytest.importorskip(MODELS[version])
    made_plate(tmp_path / "p.zarr", version)
    kinds = [
        type(models.open_ome_zarr(zarr.open_group(tmp_path / "p.zarr" / path, mode="r"))).__name__
        for path in ("", "A/1", "A/1/1")
    ]
    assert kinds == ["HCS", "Well", "Image"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_yaozarrs_finds_nothing_wrong_with_plates(tmp_path: Any, version: str) -> None:
    yaozarrs = pytest.importorskip("yaozarrs")
    made_plate(tmp_path / "p.zarr", version)
    assert yaozarrs.validate_zarr_store(str(tmp_path / "p.zarr")) is not None


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ngff_zarr_opens_plates(tmp_path: Any, version: str) -> None:
    ngff = pytest.importorskip("ngff_zarr")
    made_plate(tmp_path / "p.zarr", version)
    found = ngff.from_hcs_zarr(str(tmp_path / "p.zarr"))
    well = found.get_well("A", "1")
    assert [image.path for image in well.images] == ["0", "1"]
    np.testing.assert_array_equal(np.asarray(well.get_image(1).images[0].data)[0], VALUES + 1)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plates_of_ome_zarr_open_here(tmp_path: Any, version: str) -> None:
    writer, formats = pytest.importorskip("ome_zarr.writer"), pytest.importorskip("ome_zarr.format")
    form = formats.FormatV04() if version == "0.4" else formats.FormatV05()
    zarr = pytest.importorskip("zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=form.zarr_format)
        writer.write_plate_metadata(root, ["A", "B"], ["1", "2", "3"], ["A/1", "B/3"], fmt=form)
        for path in ("A/1", "B/3"):
            well = root.require_group(path)
            writer.write_well_metadata(well, ["0"], fmt=form)
            writer.write_image(VALUES, well.require_group("0"), (2,), axes="czyx", fmt=form)
    found = ome.open_plate(tmp_path / "p.zarr")
    assert (list(found), found.rows, found.columns) == (["A/1", "B/3"], ("A", "B"), ("1", "2", "3"))
    image = found.well("B", 3).image()
    assert [level.shape for level in image.levels] == [(2, 24, 40, 36), (2, 24, 20, 18)]
    np.testing.assert_array_equal(image.levels[0][...], VALUES)
    added = ome.open_plate(tmp_path / "p.zarr", mode="r+").write_image("A/2", VALUES[0])
    assert list(ome.open_plate(tmp_path / "p.zarr")) == ["A/1", "A/2", "B/3"] and added.version == version


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_iohub_open_here(tmp_path: Any, version: str) -> None:
    iohub = pytest.importorskip("iohub")
    scale = [1.0, *SCALE]
    options = {"layout": "fov", "mode": "w-", "channel_names": ["a", "b"], "version": version}
    with iohub.open_ome_zarr(tmp_path / "i.zarr", **options) as position:
        position.create_image("0", VALUES[None], transform=[iohub.ngff.TransformationMeta(type="scale", scale=scale)])
        position.initialize_pyramid(levels=2)
    found = ome.open_image(tmp_path / "i.zarr")
    assert "".join(found.axes).lower() == "tczyx"
    assert found.scales[0] == tuple(scale) and found.version == version
    assert len(found.levels) == 2 and found.scales[1] == (1.0, 1.0, 4.0, 1.0, 1.0)
    np.testing.assert_array_equal(found.levels[0][0], VALUES)
