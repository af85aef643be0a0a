"""What is written passes the official schemas, and means the same when it is read; wrong metadata is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import ome
from gpuzarr.errors import ArgumentError, ExistsError, MetadataError, NotFoundError, UnsupportedError
from gpuzarr.pyramids.metadata import image_attributes, parse_image
from tests.conftest import examples
from tests.pyramids.damage import damage
from tests.pyramids.made_images import VERSIONS, check_schema, image_arguments


def close(found: Any, wanted: Any) -> bool:
    return found == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@settings(max_examples=examples(60), deadline=None)
@given(arguments=image_arguments())
def test_an_image_that_is_made_opens_as_the_same(arguments: dict[str, Any]) -> None:
    store: dict[str, bytes] = {}
    made = ome.create_image(store, **arguments)
    found = ome.open_image(store)
    for name in ("version", "axes", "axis_types", "units", "scales", "translations", "method", "background", "name"):
        assert getattr(found, name) == getattr(made, name), name
    assert found.metadata == made.metadata
    assert [level.shape for level in found.levels] == [level.shape for level in made.levels]
    written = found.multiscale.metadata["kwargs"]["factors"]
    scale, moved, shape = arguments["scale"], arguments["translation"] or (0,) * found.levels[0].ndim, found.shape
    total = [1] * len(shape)
    assert found.shape == arguments["shape"] and len(written) == len(found.levels) - 1
    for i, step in enumerate([[1] * len(shape), *written]):
        shape = tuple(-(-n // f) for n, f in zip(shape, step, strict=True))
        total = [a * b for a, b in zip(total, step, strict=True)]
        offsets = [0 if arguments["method"] == "nearest" else (f - 1) / 2 for f in total]
        assert found.levels[i].shape == shape
        assert close(found.scales[i], [s * f for s, f in zip(scale, total, strict=True)])
        assert close(found.translations[i], [t + s * o for t, s, o in zip(moved, scale, offsets, strict=True)])
    assert found.factors is not None
    for step, (fine, coarse) in zip(found.factors, zip(found.levels, found.levels[1:], strict=False), strict=True):
        assert coarse.shape == tuple(-(-n // f) for n, f in zip(fine.shape, step, strict=True))


@settings(max_examples=examples(40), deadline=None)
@given(arguments=image_arguments())
def test_metadata_passes_the_official_schemas(arguments: dict[str, Any]) -> None:
    store: dict[str, bytes] = {}
    image = ome.create_image(store, **arguments)
    check_schema(image.version, "strict_image", image.group.attrs)
    labels = ome.create_image(None, dtype="uint64", labels_of=image, name="cells", colors={1: "#ff0000"})
    check_schema(image.version, "strict_image", labels.group.attrs)
    check_schema(image.version, "strict_label", labels.group.attrs)
    assert [level.shape[-2:] for level in labels.levels] == [level.shape[-2:] for level in image.levels]


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_refuse_what_is_wrong(version: str) -> None:
    """So that the tests above can fail."""
    attributes = json.loads(json.dumps(ome.create_image({}, (8, 8), "uint8", version=version).group.attrs.asdict()))
    place = attributes if version == "0.4" else attributes["ome"]
    del place["multiscales"][0]["datasets"][0]["path"]
    with pytest.raises(Exception, match="path"):
        check_schema(version, "image", attributes)


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_have_their_form(version: str) -> None:
    image = ome.create_image({}, (2, 8, 8), "uint8", axes="cyx", version=version)
    attributes = image.group.attrs.asdict()
    assert image.group.zarr_format == (2 if version == "0.4" else 3)
    if version == "0.4":
        assert "ome" not in attributes and attributes["multiscales"][0]["version"] == "0.4"
        assert image.levels[0].metadata.document["dimension_separator"] == "/"
    else:
        assert attributes["ome"]["version"] == version
        assert image.levels[0].dimension_names == ("c", "y", "x")


OLD = {
    "0.1": {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}]},
    "0.2": {"multiscales": [{"version": "0.2", "name": "n", "datasets": [{"path": "0"}, {"path": "1"}]}]},
    "0.3": {"multiscales": [{"version": "0.3", "axes": list("tczyx"), "datasets": [{"path": "0"}, {"path": "1"}]}]},
}


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("is_told", [True, False])
def test_old_versions_have_axes_and_no_scales(version: str, is_told: bool) -> None:
    document = json.loads(json.dumps(OLD[version]))
    if not is_told:
        del document["multiscales"][0]["version"]
    group = gpuzarr.create_group({}, zarr_format=2, attributes=document)
    group.create_array("0", shape=(1, 2, 5, 9, 8), dtype="uint8")
    group.create_array("1", shape=(1, 2, 5, 5, 4), dtype="uint8")
    image = ome.open_image(group.store)
    assert image.axes == tuple("tczyx") and image.scales == (None, None) and image.factors == ((1, 1, 1, 2, 2),)
    assert image.axis_types == ("time", "channel", "space", "space", "space")
    with pytest.raises(ArgumentError, match="no scale"):
        image.level(resolution=1)


def with_transformation(transformation: Any) -> dict[str, Any]:
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    level = {"path": "0", "coordinateTransformations": [transformation]}
    systems = [{"name": "world", "axes": axes[::-1]}, {"name": "intrinsic", "axes": axes}]
    return {"ome": {"version": "0.6", "multiscales": [{"coordinateSystems": systems, "datasets": [level]}]}}


TO = {"input": {"path": "0"}, "output": {"name": "intrinsic"}}
SCALE, MOVE = {"type": "scale", "scale": [2, 3]}, {"type": "translation", "translation": [1, 10]}
WITHIN = {"type": "sequence", "transformations": [SCALE]}
SWAP = {"type": "mapAxis", "mapAxis": [1, 0]}
TURN = {"type": "rotation", "rotation": [[0, 1], [-1, 0]]}


def parts(*members: tuple[Any, list[int], list[int]]) -> dict[str, Any]:
    """A byDimension transformation."""
    keys = ("transformation", "inputAxes", "outputAxes")
    return {"type": "byDimension", "transformations": [dict(zip(keys, each, strict=True)) for each in members]}


ONE, FAR = {"type": "scale", "scale": [5]}, {"type": "translation", "translation": [7]}


@pytest.mark.parametrize(
    "transformation, placement",
    [
        ({"type": "identity"}, ((1, 1), (0, 0))),
        (SCALE, ((2, 3), (0, 0))),
        ({"type": "sequence", "transformations": [SCALE, MOVE]}, ((2, 3), (1, 10))),
        ({"type": "sequence", "transformations": [MOVE, SCALE]}, ((2, 3), (2, 30))),
        ({"type": "sequence", "transformations": [WITHIN, SCALE]}, ((4, 9), (0, 0))),
        ({"type": "affine", "affine": [[2, 0, 1], [0, 3, 10]]}, ((2, 3), (1, 10))),
        ({"type": "affine", "affine": [[2, 1, 1], [0, 3, 10]]}, (None, None)),
        ({"type": "affine", "path": "matrix"}, (None, None)),
        ({"type": "rotation", "rotation": [[1, 0], [0, 1]]}, ((1, 1), (0, 0))),
        ({"type": "rotation", "rotation": [[0, 1], [1, 0]]}, (None, None)),
        ({"type": "sequence", "transformations": [SCALE, TURN, MOVE, TURN]}, ((-2, -3), (10, -1))),
        ({"type": "sequence", "transformations": [SWAP, SCALE, MOVE, SWAP]}, ((3, 2), (10, 1))),
        (parts((ONE, [0], [0]), (FAR, [1], [1])), ((5, 1), (0, 7))),
        (parts((FAR, [1], [1]), (ONE, [0], [0])), ((5, 1), (0, 7))),
        (parts(({"type": "sequence", "transformations": [SCALE, MOVE]}, [1, 0], [1, 0])), ((3, 2), (10, 1))),
        (parts((ONE, [1], [0]), (FAR, [0], [1])), (None, None)),
        (parts(({"type": "displacements", "path": "field"}, [0], [0]), (FAR, [1], [1])), (None, None)),
        ({"type": "sequence", "transformations": [{"type": "projectAxis", "createdOutputs": [0]}, FAR]}, (None, None)),
        ({"type": "bijection", "forward": SCALE, "inverse": SCALE}, (None, None)),
        ({"type": "sequence", "transformations": [SCALE, {"type": "mapAxis", "mapAxis": [1, 0]}]}, (None, None)),
        ({"type": "scale", "path": "elsewhere"}, (None, None)),
    ],
)  # fmt: skip
def test_transformations_of_0_6(transformation: dict[str, Any], placement: Any) -> None:
    found = parse_image(with_transformation(transformation | TO))
    assert found is not None
    level = found.multiscales[0].datasets[0]
    assert (level.scale, level.translation) == placement
    assert [axis.name for axis in found.multiscales[0].axes] == ["y", "x"]
    assert level.transforms[0]["type"] == transformation["type"]


@pytest.mark.parametrize(
    "transformation, words",
    [
        ({"type": "scale"}, "scale is missing"),
        ({"type": "mapAxis", "mapAxis": [0, 5]}, r"mapAxis\[1\] must be an integer from 0 to 1"),
        ({"type": "mapAxis", "mapAxis": [0, 0]}, "each number from 0 to 1 once"),
        ({"type": "affine", "affine": [[1, 0], [0, 1]]}, "must have 3 members"),
        ({"type": "rotation", "rotation": [[1, 0]]}, "must have 2 rows"),
        (parts((ONE, [0], [0])) | {"transformations": [{"transformation": ONE}]}, "inputAxes is missing"),
        (parts((ONE, [2], [0]), (FAR, [1], [1])), "input axis that there is not"),
        (parts((ONE, [0], [0]), (FAR, [1], [0])), "output axis twice"),
        (parts((ONE, [0], [1])), "not all from 0 on"),
        (parts((SCALE, [0], [0])), "must have 1 members"),
    ],
)
def test_a_wrong_transformation_is_an_error_that_says_where(transformation: Any, words: str) -> None:
    with pytest.raises(MetadataError, match=rf"datasets\[0\].coordinateTransformations.*{words}"):
        parse_image(with_transformation(transformation | TO))


def test_transformations_within_one_another_end() -> None:
    """However deep they lie, and however many they are."""
    deep: Any = SCALE
    for _ in range(5000):
        deep = {"type": "sequence", "transformations": [deep]}
    with pytest.raises(MetadataError, match="nested too deeply"):
        parse_image(with_transformation(deep | TO))
    with pytest.raises(MetadataError, match="more than 1000"):
        parse_image(with_transformation({"type": "sequence", "transformations": [MOVE] * 1001} | TO))


def test_the_steps_of_all_levels_come_after_those_of_one() -> None:
    """https://ngff.openmicroscopy.org/0.4/#multiscale-md"""
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    level = {"path": "0", "coordinateTransformations": [SCALE, MOVE]}
    shared = [{"type": "scale", "scale": [10, 10]}]
    document = {"multiscales": [{"axes": axes, "datasets": [level], "coordinateTransformations": shared}]}
    found = parse_image(document)
    assert found is not None and found.version == "0.4"
    assert found.multiscales[0].datasets[0].scale == (20, 30)
    assert found.multiscales[0].datasets[0].translation == (10, 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("scale"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "type", "scale", "name"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(300), deadline=None)
@given(data=st.data(), version=st.sampled_from(VERSIONS))
def test_a_damaged_document_is_a_metadata_error_or_an_image(data: st.DataObject, version: str) -> None:
    """Some member is another value, or missing."""
    image = ome.create_image({}, (4, 16, 16), "uint8", chunks=8, version=version, omero=["a"])
    document: Any = json.loads(json.dumps(image_attributes(image.metadata)))
    damage(data, document, JSON)
    try:
        found = parse_image(document)
    except MetadataError:
        return
    assert found is None or all(each.axes and each.datasets for each in found.multiscales)


@pytest.mark.parametrize(
    "member, value, words",
    [
        ("version", "0.7", "0.7"),
        ("version", None, "version"),
        ("multiscales", [], "multiscales must have"),
        ("multiscales", [{"axes": [{"name": "y"}, {"name": "y"}], "datasets": [{"path": "0"}]}], "twice"),
        ("multiscales", [{"axes": [{"name": "y"}], "datasets": [{"path": "../0"}]}], "path of level 0"),
        ("multiscales", [{"axes": [{"name": "y"}], "datasets": [{"path": "9"}]}], "no array at '9'"),
        ("multiscales", [{"axes": [{"name": "y"}], "datasets": [{"path": "0"}]}], "2 dimensions for 1 axes"),
        ("multiscales", [{"axes": [{"name": "y"}], "datasets": [{"path": "0"}] * 99}], "99 levels"),
    ],
)
def test_errors_name_store_group_and_member(member: str, value: Any, words: str) -> None:
    store: dict[str, bytes] = {}
    group = ome.create_image(store, (8, 8), "uint8", path="deep/image").group
    group.attrs["ome"] = dict(group.attrs["ome"]) | {member: value}
    with pytest.raises(MetadataError, match=r"/deep/image.*MappingStore|MemoryStore") as caught:
        ome.open_image(store, "deep/image")
    assert words in str(caught.value)
    assert isinstance(caught.value, UnsupportedError) == (words in ("0.7", "99 levels"))


def test_what_is_no_image_says_what_it_is() -> None:
    group = gpuzarr.create_group({}, attributes={"ome": {"version": "0.5", "plate": {}}})
    with pytest.raises(NotFoundError, match="open_plate"):
        ome.open_image(group.store)
    with pytest.raises(NotFoundError, match="no 'multiscales'"):
        ome.open_image(gpuzarr.create_group({}).store)


def test_geozarr_beside_ome() -> None:
    """As https://github.com/zarr-conventions/multiscales has it."""
    image = ome.create_image({}, (100, 100), "uint8", chunks=32, geozarr=True)
    attributes = image.group.attrs.asdict()
    assert attributes["zarr_conventions"][0]["uuid"] == "d35379db-88df-4056-af3a-620245f8e347"
    layout = attributes["multiscales"]["layout"]
    assert [level["asset"] for level in layout] == ["0", "1", "2"]
    assert layout[2]["derived_from"] == "1" and layout[2]["transform"] == {"scale": [2, 2], "translation": [0.5, 0.5]}
    assert attributes["multiscales"]["resampling_method"] == "average"
    assert len(ome.open_image(image.group.store).levels) == 3
    with pytest.raises(ArgumentError, match=r"0\.5 and later"):
        ome.create_image({}, (100, 100), "uint8", geozarr=True, version="0.4")


def test_the_same_image_is_kept_and_another_is_an_error() -> None:
    store: dict[str, bytes] = {}
    image = ome.create_image(store, (8, 8), "uint8")
    image.levels[0][:] = 7
    assert ome.create_image(store, (8, 8), "uint8").levels[0][0, 0] == 7
    with pytest.raises(ExistsError):
        ome.create_image(store, (8, 8), "uint8", scale=2)
    assert ome.create_image(store, (8, 8), "uint8", scale=2, overwrite=True).levels[0][0, 0] == 0
