"""Documents of the conformance suite of OME-Zarr 0.6, rebuilt: which of them are valid, and the places of their levels.

Names are those of the files in https://github.com/ome/ngff-spec, `tests/attributes/spec/`, of which each has one fault
or one feature; the documents are made here, around it.
"""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]
STEPS = "coordinateTransformations"


def axes(names: str, kind: str | None = "space") -> list[Document]:
    return [{"name": name} | ({} if kind is None else {"type": kind, "unit": "micrometer"}) for name in names]


Y_X, Z_Y_X = axes("yx"), axes("zyx")


def scale(*factors: float) -> Document:
    return {"type": "scale", "scale": list(factors)}


def moved(*by: float) -> Document:
    return {"type": "translation", "translation": list(by)}


def steps(*members: Any) -> Document:
    return {"type": "sequence", "transformations": list(members)}


def by_dimension(*members: tuple[Document, list[Any], list[Any]], spelled: str = "{}Axes") -> Document:
    """Parts with their input and output axes; the text of the specification spells these `input_axes`."""
    names = spelled.format("input"), spelled.format("output")
    found = [{"transformation": one, names[0]: given, names[1]: made} for one, given, made in members]
    return {"type": "byDimension", "transformations": found}


def image(
    systems: Any = None, level: Any = None, beyond: Any = None, path: Any = "s0", ends: Any = None, **more: Any
) -> Document:
    """An image with one level. `beyond`: a transformation from its coordinate system to the one "other"."""
    members = [{"name": "intrinsic", "axes": Y_X}, {"name": "other", "axes": Y_X}] if systems is None else systems
    ends = {"input": {"path": "s0"}, "output": {"name": "intrinsic"}} if ends is None else ends
    found = {"coordinateSystems": members, "datasets": [{"path": path, STEPS: [(level or scale(1, 1)) | ends]}]}
    if beyond is not None:
        found[STEPS] = [{"input": {"name": "intrinsic"}, "output": {"name": "other"}} | beyond]
    return {"ome": {"version": "0.6", "multiscales": [found], **more}}


def without(document: Document, *place: Any) -> Document:
    return changed(document, *place, None, is_deleted=True)


def changed(document: Document, *place: Any, is_deleted: bool = False) -> Document:
    """A copy in which the member at a place, of which the last part is the value, is another."""
    *way, key, value = place
    made = copy.deepcopy(document)
    node: Any = made["ome"]
    for each in way:
        node = node[each]
    if is_deleted:
        del node[key]
    else:
        node[key] = value
    return made


def of_systems(*lists: list[Document]) -> list[Document]:
    return [{"name": name, "axes": found} for name, found in zip(("intrinsic", "other"), lists, strict=False)]


def part(name: str, value: Any) -> Document:
    return {"ome": {"version": "0.6", name: value}}


def plate(**changes: Any) -> Document:
    one = {"path": "A/1", "rowIndex": 0, "columnIndex": 0}
    found = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [one]} | changes
    return part("plate", {name: value for name, value in found.items() if value is not None})


def plate_well(**changes: Any) -> Document:
    one = {"path": "A/1", "rowIndex": 0, "columnIndex": 0} | changes
    return plate(wells=[{name: value for name, value in one.items() if value is not None}])


def colors(*members: Any) -> Document:
    return part("image-label", {"colors": list(members)})


def scene(*members: Any, **more: Any) -> Document:
    systems = [{"name": "world", "axes": Y_X}]
    return part("scene", {"coordinateSystems": systems, STEPS: list(members)} | more)


AT = {"input": {"path": "tile_0", "name": "physical"}, "output": {"name": "world"}}
SCENE = scene(moved(0, 348) | AT)
BIJECTION = {"type": "bijection", "forward": steps(scale(2, 2)), "inverse": scale(0.5, 0.5)} | AT
MULTISCALE = ("multiscales", 0)
LEVEL = (*MULTISCALE, "datasets", 0)
PLAIN = image()
RUN = {"id": 0, "maximumfieldcount": 2, "starttime": 1, "endtime": 2}
WINDOW = {"start": 0, "min": 0, "end": 9, "max": 9}
ALL = steps(
    {"type": "rotation", "rotation": [[0, 1], [-1, 0]]},
    moved(5, 10),
    {"type": "affine", "affine": [[1, 0.5, 0], [0, 1, 0]]},
    scale(2, 2),
    {"type": "mapAxis", "mapAxis": [1, 0]},
    by_dimension((scale(2), [0], [0]), (moved(-10), [1], [1])),
)

VALID_IMAGES: dict[str, tuple[Document, Any, Any]] = {  # and the scale and the translation of the level
    "all_array_axes": (image(of_systems(axes("yx", "array"))), (1, 1), (0, 0)),
    "custom_type_axes": (
        image(of_systems([{"name": "a", "type": "mine"}, *Y_X]), scale(1, 2, 3)),
        (1, 2, 3),
        (0, 0, 0),
    ),
    "invalid_axis_units": (image(of_systems([Y_X[0] | {"unit": "parsnip"}, Y_X[1]])), (1, 1), (0, 0)),
    "missing_name": (PLAIN, (1, 1), (0, 0)),
    "multiscales_transform_identity": (image(level={"type": "identity"}), (1, 1), (0, 0)),
    "multiscales_transform_sequence": (
        image(of_systems(Z_Y_X), steps(scale(4, 3, 2), moved(30, 20, 10))),
        *((4, 3, 2), (30, 20, 10)),
    ),
    "multiscales_transform_additional_transforms": (image(level=scale(2, 3), beyond=ALL), (2, 3), (0, 0)),
    "multiscales_transform_additional_affine_path": (image(beyond={"type": "affine", "path": "m"}), (1, 1), (0, 0)),
    "untyped_axes": (image(of_systems([{"name": "c"}, *Y_X]), scale(1, 1, 1)), (1, 1, 1), (0, 0, 0)),
    "affine": (image(beyond={"type": "affine", "affine": [[1, 0, 5], [1, 1, 0]]}), (1, 1), (0, 0)),
    "byDimension": (image(beyond=by_dimension((scale(2), [0], [0]), (moved(-10), [1], [1]))), (1, 1), (0, 0)),
    "mapAxis": (image(beyond={"type": "mapAxis", "mapAxis": [1, 0]}), (1, 1), (0, 0)),
    "projectAxis": (image(beyond={"type": "projectAxis", "createdOutputs": [0]}), (1, 1), (0, 0)),
    "rotation": (image(beyond={"type": "rotation", "rotation": [[0, -1], [1, 0]]}), (1, 1), (0, 0)),
    "full_omero_metadata": (
        image(omero={"channels": [{"color": "ff0000", "window": WINDOW, "label": "a", "active": True}]}),
        *((1, 1), (0, 0)),
    ),
}
VALID_OTHERS = {
    "label/minimal": part("image-label", {}),
    "label/minimal_properties": part("image-label", {"properties": [{"label-value": 1}]}),
    "label/colors": colors({"label-value": 1, "rgba": [255, 0, 0, 255]}, {"label-value": 2}),
    "plate/minimal_no_acquisitions": plate(),
    "plate/minimal_acquisitions": plate(acquisitions=[RUN], field_count=1),
    "well/minimal_no_acquisition": part("well", {"images": [{"path": "0"}]}),
    "well/minimal_acquisitions": part("well", {"images": [{"path": "0", "acquisition": 1}]}),
    "well/minimal_path_special_char": part("well", {"images": [{"path": "0_a-b.image"}]}),
    "scene/tile_stitching": SCENE,
    "scene/scene": scene(BIJECTION),
}
INVALID = {
    "image/duplicate_axes": image(of_systems([Y_X[0]] * 2)),
    "image/duplicate_scale": changed(PLAIN, *LEVEL, STEPS, PLAIN["ome"]["multiscales"][0]["datasets"][0][STEPS] * 2),
    "image/empty_transformations": changed(PLAIN, *LEVEL, STEPS, []),
    "image/invalid_axes_count": image(of_systems(Y_X[:1]), scale(1)),
    "image/invalid_axis_type": image(of_systems([Y_X[0] | {"type": "invalid"}, Y_X[1]])),
    "image/invalid_axis_type2": image(of_systems([Y_X[0] | {"type": 0}, Y_X[1]])),
    "image/invalid_channels_color": image(omero={"channels": [{"color": 255}]}),
    "image/invalid_channels_window": image(omero={"channels": [{"window": WINDOW | {"start": "0"}}]}),
    "image/invalid_multiscale_transform_input": image(ends={"input": "s0", "output": {"name": "intrinsic"}}),
    "image/invalid_multiscale_transform_output": image(ends={"input": {"path": "s0"}, "output": "intrinsic"}),
    "image/invalid_multiscales_transformations": image(beyond={"type": "scale", "scale": ["invalid"]}),
    "image/invalid_path": image(path=0),
    "image/invalid_transformation_type": image(level={"type": "invalid"}),
    "image/missing_axes": without(PLAIN, *MULTISCALE, "coordinateSystems", 0, "axes"),
    "image/missing_axes_name": image(of_systems([{"type": "space"}, *Y_X])),
    "image/missing_coordinate_system_name": without(PLAIN, *MULTISCALE, "coordinateSystems", 0, "name"),
    "image/missing_coordinate_systems": without(PLAIN, *MULTISCALE, "coordinateSystems"),
    "image/missing_datasets": without(PLAIN, *MULTISCALE, "datasets"),
    "image/missing_path": without(PLAIN, *LEVEL, "path"),
    "image/missing_scale": image(level=moved(1, 1)),
    "image/missing_space_axes": image(of_systems([{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}])),
    "image/missing_transformations": without(PLAIN, *LEVEL, STEPS),
    "image/no_axes": changed(PLAIN, *MULTISCALE, "coordinateSystems", 0, "axes", []),
    "image/no_datasets": changed(PLAIN, *MULTISCALE, "datasets", []),
    "image/no_multiscales": changed(PLAIN, "multiscales", []),
    "image/one_space_axes": image(of_systems([{"name": "c", "type": "channel"}, Y_X[0]])),
    "image/too_many_axes": image(of_systems([*axes("abc", "mine"), *Z_Y_X]), scale(*[1] * 6)),
    "image/too_many_space_axes": image(of_systems(axes("wzyx")), scale(1, 1, 1, 1)),
    "label/colors_duplicate": colors(*[{"label-value": 1}] * 2),
    "label/colors_no_label_value": colors({"rgba": [0, 0, 0, 0]}),
    "label/colors_rgba_length": colors({"label-value": 1, "rgba": [0, 0, 0]}),
    "label/colors_rgba_type": colors({"label-value": 1, "rgba": [0, 0, 0, "0"]}),
    "label/empty_colors": colors(),
    "label/empty_properties": part("image-label", {"properties": []}),
    "label/properties_no_label_value": part("image-label", {"properties": [{"area": 1}]}),
    "omero/missing_channels": image(omero={}),
    "omero/missing_start_end": image(omero={"channels": [{"window": {"min": 0, "max": 1}}]}),
    "plate/acquisition_negative_starttime": plate(acquisitions=[RUN | {"starttime": -1}]),
    "plate/acquisition_noninteger_endtime": plate(acquisitions=[RUN | {"endtime": 0.5}]),
    "plate/acquisition_zero_maximumfieldcount": plate(acquisitions=[RUN | {"maximumfieldcount": 0}]),
    "plate/duplicate_columns": plate(columns=[{"name": "1"}] * 2),
    "plate/duplicate_rows": plate(rows=[{"name": "A"}] * 2),
    "plate/empty_columns": plate(columns=[]),
    "plate/empty_rows": plate(rows=[]),
    "plate/empty_wells": plate(wells=[]),
    "plate/missing_acquisition_id": plate(acquisitions=[{"name": "a"}]),
    "plate/missing_column_name": plate(columns=[{}]),
    "plate/missing_columns": plate(columns=None),
    "plate/missing_row_name": plate(rows=[{}]),
    "plate/missing_rows": plate(rows=None),
    "plate/missing_well_columnIndex": plate_well(columnIndex=None),
    "plate/missing_well_path": plate_well(path=None),
    "plate/missing_well_rowIndex": plate_well(rowIndex=None),
    "plate/missing_wells": plate(wells=None),
    "plate/negative_acquisition_id": plate(acquisitions=[{"id": -1}]),
    "plate/non_alphanumeric_column": plate(columns=[{"name": "A-1"}]),
    "plate/non_integer_acquisition_id": plate(acquisitions=[{"id": "0"}]),
    "plate/well_1group": plate_well(path="A1"),
    "plate/well_3groups": plate_well(path="A/1/0"),
    "plate/zero_field_count": plate(field_count=0),
    "well/duplicate_images": part("well", {"images": [{"path": "0"}] * 2}),
    "well/empty_images": part("well", {"images": []}),
    "well/non_integer_acquisition_id": part("well", {"images": [{"path": "0", "acquisition": "a"}]}),
    "scene/scene_bijection_forward_missing_params": scene(BIJECTION | {"forward": {"type": "scale"}}),
    "scene/scene_bijection_inverse_missing_params": scene(BIJECTION | {"inverse": {"type": "affine"}}),
    "scene/scene_input_output_not_object": scene(moved(0, 0) | {"input": "tile_0", "output": "world"}),
    "scene/scene_missing_transformations": without(SCENE, "scene", STEPS),
    "scene/scene_missing_version": without(SCENE, "version"),
    "transforms/bad_affine_no_affine": image(beyond={"type": "affine"}),
    "transforms/bad_affine_no_input_output": changed(
        PLAIN, *MULTISCALE, STEPS, [{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}]
    ),
    "transforms/bad_byDimension_no_input_output_axes": image(
        beyond={"type": "byDimension", "transformations": [{"transformation": scale(2)}]}
    ),
    "transforms/bad_byDimension_wrong axes_type": image(beyond=by_dimension((scale(2), ["x"], [{}]))),
    "transforms/bad_mapaxis": image(beyond={"type": "mapAxis"}),
    "transforms/bad_mapaxis3": image(beyond={"type": "mapAxis", "mapAxis": [0, 1, 2, 5]}),
    "transforms/bad_mapaxis4": image(beyond={"type": "mapAxis", "mapAxis": [0, 0]}),
    "transforms/bad_mapaxis5": image(beyond={"type": "mapAxis", "mapAxis": [0, "x"]}),
    "transforms/bad_projectAxis_insert_non_unique": image(beyond={"type": "projectAxis", "createdOutputs": [0, 0]}),
    "transforms/bad_projectAxis_insert_too_high_dim": image(beyond={"type": "projectAxis", "createdOutputs": [5]}),
    "transforms/bad_projectAxis_missing_op": image(beyond={"type": "projectAxis"}),
    "transforms/bad_projectAxis_remove_too_many": image(beyond={"type": "projectAxis", "droppedInputs": [0, 1, 2, 3]}),
    "transforms/bad_rotation": image(beyond={"type": "rotation", "rotation": [[1, 0]]}),
    "transforms/bad_rotation2": image(beyond={"type": "rotation"}),
    "transforms/bad_scale_path_not_allowed": image(beyond={"type": "scale", "path": "somewhere"}),
    "transforms/bad_translate_path_not_allowed": image(beyond={"type": "translation", "path": "somewhere"}),
    "transforms/multiscales_transform_forbidden": image(level={"type": "mapAxis", "mapAxis": [1, 0]}),
    "transforms/multiscales_transform_forbidden2": image(
        level=steps({"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}, moved(30, 20))
    ),
    "transforms/multiscales_transform_missing_params": image(level={"type": "scale"}),
    "transforms/multiscales_transform_no_input_output": image(ends={}),
}
