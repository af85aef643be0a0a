"""Make plates of high-content screening, and images in their wells.

Many processes may do both at once: the lists of wells and fields are changed while their metadata is locked.

Source: the chapters `plate` and `well` of OME-NGFF (https://ngff.openmicroscopy.org/0.5/).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from string import ascii_uppercase
from typing import Any, Protocol

from gpuzarr.checks import at, flag, integer, iterated, mapping, number, one_of, sequence, shown
from gpuzarr.creation import new_group
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, ExistsError, MetadataError
from gpuzarr.metadata.attributes import change_attributes
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import placed
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.keywords import own
from gpuzarr.nodes.opener import Opener
from gpuzarr.pyramids.create import create_image as new_image
from gpuzarr.pyramids.frames import DEFAULT_VERSION
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.metadata import namespace
from gpuzarr.pyramids.metadata.model import VERSIONS, ZARR_FORMATS
from gpuzarr.pyramids.metadata.rules import FIELD, NAME
from gpuzarr.pyramids.opening import place
from gpuzarr.pyramids.sources import write_new
from gpuzarr.write.target import Writable

MAX_NAMES, MAX_DIGITS = 1000, 18
WELLS = "a well is a text such as 'A/3', or a row and a column"
Edit = Callable[[dict[str, Any]], None]


class Makes(Protocol):
    """What is needed of a plate here."""

    @property
    def group(self) -> Group: ...
    @property
    def rows(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def places(self) -> dict[str, tuple[int, int]]: ...
    @property
    def acquisitions(self) -> tuple[Mapping[str, Any], ...]: ...
    @property
    def version(self) -> str: ...
    def create_image(self, well: Any, shape: Any, dtype: Any, **options: Any) -> Image: ...


def new_plate(
    store: Any,
    rows: Any,
    columns: Any,
    name: Any,
    acquisitions: Any,
    version: Any,
    path: str,
    overwrite: Any,
    device: Any,
    storage_options: Any,
) -> Group:
    """The group of a new plate, by the parameters of `gpuzarr.ome.create_plate`."""
    kind = one_of(DEFAULT_VERSION if version is None else version, "version", *VERSIONS)
    letters = [prefix + letter for prefix in ("", *ascii_uppercase) for letter in ascii_uppercase]
    plate: dict[str, Any] = {
        "rows": _names(rows, "rows", letters),
        "columns": _names(columns, "columns", [str(i + 1) for i in range(MAX_NAMES)]),
        "wells": [],
    }
    if name is not None:
        if not isinstance(name, str):
            raise ArgumentError(f"name must be text, not {shown(name)}")
        plate["name"] = name
    if acquisitions is not None:
        plate["acquisitions"] = _acquisitions(acquisitions)
    where, key = placed(store, path, storage_options)
    new_group(where, key, ZARR_FORMATS[kind], None, flag(overwrite, "overwrite"))
    opener = Opener(where, device_of(device), ZARR_FORMATS[kind], False, None, Writable.of(None))
    group = _group(opener(key))
    _edit(group, partial(_found, group, plate, kind), kind)
    return _group(opener(key))


def _group(node: Array | Group) -> Group:
    if isinstance(node, Array):
        raise ExistsError(f"{node!r} is an array; a plate cannot be made there")
    return node


def _names(given: Any, what: str, usual: list[str]) -> list[dict[str, str]]:
    """Rows or columns: how many, or their names."""
    if isinstance(given, int):
        names = usual[: number(given, what, 1, len(usual))]
    else:
        members = given if isinstance(given, str) else iterated(given, f"{what} are a number, or a list of names")
        names = [str(each) for each in members]
    if not names or len(names) > MAX_NAMES or len(set(names)) < len(names):
        raise ArgumentError(f"{what} are 1 to {MAX_NAMES} different names, not {shown(given)}")
    if wrong := [each for each in names if not re.fullmatch(NAME, each)]:
        raise ArgumentError(f"names of {what} may have only letters and digits, not {shown(wrong[0])}")
    return [{"name": each} for each in names]


def _acquisitions(given: Any) -> list[dict[str, Any]]:
    """Runs of the microscope: how many, their names, or objects of OME-NGFF."""
    if isinstance(given, int):
        return [{"id": i} for i in range(number(given, "acquisitions", 1, MAX_NAMES))]
    wanted = "acquisitions are a number, or a list of names or of objects with an 'id'"
    found = []
    for i, each in enumerate(iterated(given, wanted)):
        run: Any = {"id": i, "name": each} if isinstance(each, str) else each
        if not isinstance(run, Mapping) or not isinstance(run.get("id"), int) or run["id"] < 0:
            raise ArgumentError(f"{wanted}; not {shown(each)}")
        found.append(dict(run))
    if len({run["id"] for run in found}) < len(found):
        raise ArgumentError(f"acquisitions have the same id twice: {shown(given)}")
    return found


def _edit(group: Group, edit: Edit, version: str) -> None:
    """Change the OME metadata in a group's attributes, under its lock."""

    def change(attributes: dict[str, Any]) -> None:
        with at(place(group)):
            if ZARR_FORMATS[version] == 2:
                return edit(attributes)
            parts = mapping(attributes.setdefault("ome", {}), "ome")
            parts.setdefault("version", version)
            return edit(parts)

    change_attributes(group.store, group.path, group.metadata, change)


def _found(group: Group, plate: dict[str, Any], version: str, parts: dict[str, Any]) -> None:
    """Put a plate into the metadata; if the same one is there, it stays, with its wells."""
    there = namespace({"ome": parts} if ZARR_FORMATS[version] == 3 else parts)[0]
    if others := [name for name in there if name not in ("version", "plate")]:
        raise ExistsError(f"{group!r} exists, and has {others[0]!r}")
    if "plate" not in there:
        parts["plate"] = plate if ZARR_FORMATS[version] == 3 else plate | {"version": version}
        return
    was = mapping(there["plate"], "plate")
    for name in ("rows", "columns", "name", "acquisitions"):
        if was.get(name) != plate.get(name):
            raise ExistsError(
                f"{group!r} is another plate: its {name} are {shown(was.get(name))}, not {shown(plate.get(name))}"
            )
    if ZARR_FORMATS[version] == 3 and parts.get("version") != version:
        raise ExistsError(f"{group!r} is a plate of version {shown(parts.get('version'))}, not {version}")


def create_image(
    self: Makes, well: Any, shape: Any, dtype: Any, *, field: Any = 0, acquisition: Any = None, **options: Any
) -> Image:
    """Make the image of a field of a well. The well is made with its first image.

    Parameters
    ----------
    well
        The path of the well, "A/3", or a pair of a row and a column, ("A", 3).
    shape, dtype, **options
        As for `gpuzarr.ome.create_image`; the version is that of the plate.
    field
        The number of the field in the well, or a name; it becomes the path of the image in the group of the well.
    acquisition
        The id of the acquisition; needed if the plate has several.

    Returns
    -------
    Image

    Raises
    ------
    ArgumentError
        The plate has no such row, column or acquisition; or as for `gpuzarr.ome.create_image`.
    ReadOnlyError
        The plate was opened for reading only.
    ExistsError, MetadataError, StoreError, DeviceError
        As for `gpuzarr.ome.create_image`.

    Examples
    --------
    >>> plate = gpuzarr.ome.create_plate("plate.zarr", rows="AB", columns=3)
    >>> for field in range(2):
    ...     image = plate.create_image("B/3", (256, 256), "uint16", field=field, scale=0.5, units="um")
    >>> plate["B/3"].fields, plate.well("B", 3).image(1).shape
    (('0', '1'), (256, 256))
    """
    names = ("store", "path", "labels_of", "version", "storage_options")
    own("Plate.create_image", options, **dict.fromkeys(names, "the plate, the well and the field give it"))
    self.group.check_writable()
    path, row, column = _checked_well(self, well)
    name, run = _checked_field(field), _checked_acquisition(self, acquisition)
    options = {"device": self.group.device} | options
    where = f"{self.group.below(path)}/{name}"
    made = new_image(self.group.store, shape, dtype, path=where, version=self.version, **options)
    group = self.group.get_group(path)
    count = [0]
    _edit(group, partial(_add_field, name, run, self.version, count), self.version)
    _edit(self.group, partial(_add_well, path, row, column, count), self.version)
    self.places[path] = (row, column)
    return made


def write_image(self: Makes, well: Any, source: Any, **options: Any) -> Image:
    """Make an image in a well from existing values, with all its levels, in one pass.

    Parameters
    ----------
    well
        As for `create_image`.
    source
        The values, as for `gpuzarr.ome.write_image`.
    **options
        As for `create_image` and `gpuzarr.ome.write_image`: `field`, `scale`, `units`, `progress`, ...

    Returns
    -------
    Image

    Raises
    ------
    ArgumentError, ReadOnlyError, ExistsError, MetadataError, StoreError, DeviceError, ValueKindError
        As for `create_image` and `gpuzarr.ome.write_image`.

    Examples
    --------
    >>> plate = gpuzarr.ome.create_plate({}, rows=8, columns=12)
    >>> image = plate.write_image("H/12", np.full((3, 64, 64), 7, np.uint8), axes="cyx")
    >>> plate["H/12"].image(0).levels[0][2, 0, 0]
    np.uint8(7)
    """
    return write_new(partial(self.create_image, well), "write_image", source, **options)


def _checked_well(plate: Makes, given: Any) -> tuple[str, int, int]:
    """The path of a well, and the numbers of its row and column."""
    parts = given.split("/") if isinstance(given, str) else list(iterated(given, WELLS))
    row, column = map(str, parts) if len(parts) == 2 else ("", "")
    if row not in plate.rows or column not in plate.columns:
        rows, columns = (f"{names[0]} to {names[-1]}" for names in (plate.rows, plate.columns))
        raise ArgumentError(f"{WELLS}; rows are {rows}, columns {columns}; not {shown(given)}")
    return f"{row}/{column}", plate.rows.index(row), plate.columns.index(column)


def _checked_field(given: Any) -> str:
    name = given if isinstance(given, str) else str(number(given, "field", 0))
    if not re.fullmatch(FIELD, name):
        raise ArgumentError(f"field is a number, or a name of letters, digits and '_.-', not {shown(given)}")
    return name


def _checked_acquisition(plate: Makes, given: Any) -> int | None:
    known = [run.get("id") for run in plate.acquisitions]
    if given is None:
        if len(known) > 1:
            raise ArgumentError(f"the plate has several acquisitions: give one of {shown(known)}")
        return None
    if (run := number(given, "acquisition", 0)) not in known:
        raise ArgumentError(f"the plate has no acquisition {run}, only {shown(known)}")
    return run


def _add_field(name: str, run: int | None, version: str, count: list[int], parts: dict[str, Any]) -> None:
    """List a field in the metadata of its well; `count` becomes how many it has."""
    well = parts.setdefault("well", {} if ZARR_FORMATS[version] == 3 else {"version": version})
    images = sequence(mapping(well, "well").get("images", []), "well.images")
    others = [each for each in images if mapping(each, "well.images[]").get("path") != name]
    mine = {"path": name} | ({} if run is None else {"acquisition": run})
    well["images"] = sorted([*others, mine], key=lambda each: _natural(each.get("path")))
    count[0] = len(well["images"])


def _natural(path: Any) -> tuple[int, str]:
    """Numbers by their value, and before names."""
    text = str(path)
    return (int(text), "") if text.isdecimal() and len(text) < MAX_DIGITS else (10**MAX_DIGITS, text)


def _add_well(path: str, row: int, column: int, count: list[int], parts: dict[str, Any]) -> None:
    """List a well in the metadata of its plate, in the order of rows and columns."""
    if not isinstance(parts.get("plate"), dict):
        raise MetadataError("'plate' is missing: it was deleted in the meantime")
    plate = parts["plate"]
    wells = [mapping(each, "plate.wells[]") for each in sequence(plate.get("wells", []), "plate.wells")]
    if path not in [each.get("path") for each in wells]:
        wells.append({"path": path, "rowIndex": row, "columnIndex": column})
        plate["wells"] = sorted(wells, key=lambda each: (_place(each, "rowIndex"), _place(each, "columnIndex")))
    most = plate.get("field_count", 0)
    plate["field_count"] = max(count[0], most if isinstance(most, int) else 0)


def _place(well: dict[str, Any], name: str) -> int:
    return integer(well.get(name, 0), f"plate.wells[].{name}")
