"""Plates of high-content screening: wells in rows and columns, each with images of its fields.

Source: the chapters `plate` and `well` of OME-NGFF (https://ngff.openmicroscopy.org/0.5/), which are alike since 0.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import at, integer, mapping, required, sequence, shown
from gpuzarr.errors import MetadataError, NotFoundError
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids import plate_writing
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.labels import member
from gpuzarr.pyramids.metadata import namespace
from gpuzarr.pyramids.metadata.common import text
from gpuzarr.pyramids.opening import image_of, instead, place

MAX_WELLS = 1_000_000


@dataclass(frozen=True, repr=False, eq=False)
class Well:
    """A well of a plate: the images of its fields.

    Attributes
    ----------
    group
        The group of the well.
    row, column
        The names of the row and of the column, such as "A" and "3".
    fields
        For each field, its path below the group; `acquisitions` has the number of its acquisition, or None.
    """

    group: Group
    row: str
    column: str
    fields: tuple[str, ...]
    acquisitions: tuple[int | None, ...]

    def image(self, field: int | str = 0) -> Image:
        """Open the image of a field, by its number or its path."""
        count = len(self.fields)
        path = self.fields[field] if isinstance(field, int) and -count <= field < count else field
        if path not in self.fields:
            raise NotFoundError(f"{self!r} has no field {shown(field)}, only {shown(list(self.fields))}")
        return image_of(member(self.group, path))

    @property
    def images(self) -> list[Image]:
        """The images of all fields, opened."""
        return [self.image(path) for path in self.fields]

    def __repr__(self) -> str:
        return f"<gpuzarr.ome.Well {self.row}/{self.column} fields={len(self.fields)}>"


@dataclass(frozen=True, repr=False, eq=False)
class Plate(Mapping[str, Well]):
    """A plate: a mapping from paths such as "A/3" to wells; each well is opened when it is asked for.

    Attributes
    ----------
    group
        The group of the plate.
    name
        Its name, or None.
    rows, columns
        Their names, in the order of the plate.
    places
        The path of each existing well, with the numbers of its row and column; wells made through this plate included.
    acquisitions
        What the document says of each run of the microscope.
    version
        The version of OME-Zarr, such as "0.5".

    Examples
    --------
    >>> plate = gpuzarr.ome.create_plate({}, rows=8, columns=12)
    >>> image = plate.write_image("C/7", np.zeros((64, 64), np.uint8))
    >>> list(plate), plate.well("C", 7).images[0].shape
    (['C/7'], (64, 64))
    """

    group: Group
    name: str | None
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    places: dict[str, tuple[int, int]]
    acquisitions: tuple[Mapping[str, Any], ...] = ()
    version: str = "0.5"

    create_image, write_image = plate_writing.create_image, plate_writing.write_image

    def __contains__(self, well: object) -> bool:
        return well in self.places

    def __getitem__(self, well: str) -> Well:
        if well not in self.places:
            raise NotFoundError(
                f"no well has the path {well!r}, only {shown(list(self.places))}; see also plate.well(row, column)"
            )
        row, column = self.places[well]
        return _well(member(self.group, well), self.rows[row], self.columns[column])

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def well(self, row: str, column: str | int) -> Well:
        """Open the well in a row and a column, by their names. NotFoundError if the plate has none there."""
        usual, wanted = f"{row}/{column}", (row, str(column))
        paths = [usual, *self.places] if usual in self.places else self.places
        found = next((path for path in paths if self._names(*self.places[path]) == wanted), None)
        if found is None:
            raise NotFoundError(f"{self!r} has no well in row {shown(row)}, column {shown(column)}")
        return self[found]

    def _names(self, row: int, column: int) -> tuple[str, str]:
        return self.rows[row], self.columns[column]

    def __repr__(self) -> str:
        size = f"{len(self.rows)}x{len(self.columns)} wells={len(self)}"
        return f"<gpuzarr.ome.Plate {self.group.store!r} {size}>"


def plate_of(group: Group) -> Plate:
    """The plate that a group is. NotFoundError if it is not one."""
    with at(place(group)):
        parts, prefix = namespace(group.metadata.attributes)
        if "plate" not in parts:
            raise NotFoundError(f"{group!r} is not a plate: {instead(group, 'plate')}")
        field = f"{prefix}plate"
        plate = mapping(parts["plate"], field)
        rows, columns = (_names(plate, each, field) for each in ("rows", "columns"))
        name, runs = plate.get("name"), sequence(plate.get("acquisitions") or [], f"{field}.acquisitions")
        return Plate(
            *(group, name if isinstance(name, str) else None, rows, columns, _places(plate, field, rows, columns)),
            tuple(mapping(each, f"{field}.acquisitions[{i}]") for i, each in enumerate(runs)),
            text(parts.get("version"), "ome.version") if prefix else str(plate.get("version", "0.4")),
        )


def _names(plate: dict[str, Any], member: str, field: str) -> tuple[str, ...]:
    """The names of rows or columns."""
    where = f"{field}.{member}"
    members = sequence(required(plate, member), where)
    found = [mapping(each, f"{where}[{i}]") for i, each in enumerate(members)]
    return tuple(text(each.get("name"), f"{where}[{i}].name") for i, each in enumerate(found))


def _places(
    plate: dict[str, Any], field: str, rows: tuple[str, ...], columns: tuple[str, ...]
) -> dict[str, tuple[int, int]]:
    """The row and the column of each well, by its path; until version 0.3 only the path says which they are."""
    where = f"{field}.wells"
    members = sequence(required(plate, "wells"), where)
    if len(members) > MAX_WELLS:
        raise MetadataError(f"{where} has {len(members)} members")
    row_index, column_index = ({name: i for i, name in enumerate(names)} for names in (rows, columns))
    found = {}
    for i, each in enumerate(members):
        well = mapping(each, f"{where}[{i}]")
        path = text(well.get("path"), f"{where}[{i}].path")
        row, _, column = path.partition("/")
        found[path] = (
            _index(well.get("rowIndex", row_index.get(row)), len(rows), f"{where}[{i}].rowIndex"),
            _index(well.get("columnIndex", column_index.get(column)), len(columns), f"{where}[{i}].columnIndex"),
        )
    return found


def _index(value: Any, count: int, field: str) -> int:
    """The number of a row or a column; MetadataError if it is neither given nor in the path."""
    if value is None:
        raise MetadataError(f"{field} is missing")
    return integer(value, field, 0, count - 1)


def _well(group: Group, row: str, column: str) -> Well:
    """A well, by the metadata of its group."""
    with at(place(group)):
        parts, prefix = namespace(group.metadata.attributes)
        well = mapping(required(parts, "well"), f"{prefix}well")
        where = f"{prefix}well.images"
        images = [mapping(each, f"{where}[{i}]") for i, each in enumerate(sequence(well.get("images"), where))]
        runs = [each.get("acquisition") for each in images]
        return Well(
            *(group, row, column),
            tuple(text(each.get("path"), f"{where}[{i}].path") for i, each in enumerate(images)),
            tuple(run if isinstance(run, int) else None for run in runs),
        )
