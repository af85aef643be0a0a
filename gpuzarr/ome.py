"""OME-Zarr images: made, written with all their resolutions in one pass, and opened with their physical scales.

Examples
--------
>>> values = np.random.default_rng(0).integers(0, 1000, (64, 300, 300), np.uint16)
>>> image = gpuzarr.ome.write_image("a.zarr", values, scale=(2, 0.5, 0.5), units="micrometer")
>>> gpuzarr.ome.open_image("a.zarr").level(resolution=1.0).shape
(64, 150, 150)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from gpuzarr.api.opening import open_group
from gpuzarr.checks import one_of
from gpuzarr.devices.contract import Device
from gpuzarr.nodes.group import Group
from gpuzarr.pyramids.arrays import downsampled
from gpuzarr.pyramids.create import create_image
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.labels import Labels
from gpuzarr.pyramids.metadata.model import Axis
from gpuzarr.pyramids.opening import image_of
from gpuzarr.pyramids.plate_writing import new_plate
from gpuzarr.pyramids.plates import Plate, Well, plate_of
from gpuzarr.pyramids.series import images_of
from gpuzarr.pyramids.sources import write_new

__all__ = [
    "Axis",
    "Image",
    "Labels",
    "Plate",
    "Well",
    "create_image",
    "create_plate",
    "downsample",
    "open_image",
    "open_images",
    "open_plate",
    "write_image",
    "write_labels",
]
Mode = Literal["r", "r+", "a"]


def open_image(
    store: Any,
    path: str = "",
    *,
    mode: Mode = "r",
    multiscale: int | str = 0,
    method: str | None = None,
    background: int | float | None = None,
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
    **options: Any,
) -> Image:
    """Open an OME-Zarr image of version 0.1 to 0.6, from its metadata; no values are read.

    Parameters
    ----------
    store, path, device, storage_options, **options
        As for `gpuzarr.open_group`.
    mode
        "r" (default): read only. "r+" or "a": read and write; needed for `image.writer()` and for new labels. The image
        must exist; new ones are made by `create_image` and `write_image`.
    multiscale
        Which of several images that share a group: its number or its name.
    method, background
        How levels are reduced when they are written again, if the metadata does not say so or names a method of
        another library.

    Returns
    -------
    Image

    Raises
    ------
    NotFoundError
        There is no group, or it is not an image; the message says what it is.
    MetadataError
        The metadata is wrong, or an array that it names is missing; the message names the store, the group and the
        member of the document.
    UnsupportedError
        The metadata is of a later version.
    ArgumentError, StoreError, DeviceError
        As for `gpuzarr.open`.

    Examples
    --------
    >>> made = gpuzarr.ome.create_image("a.zarr", (3, 512, 512), "uint8", axes="cyx", scale=0.5, units="um", levels=3)
    >>> image = gpuzarr.ome.open_image("a.zarr")
    >>> image.axes, image.units, image.scales[2]
    (('c', 'y', 'x'), (None, 'micrometer', 'micrometer'), (1.0, 2.0, 2.0))
    """
    group = _group(store, path, mode, device, storage_options, options)
    return image_of(group, multiscale, method, background)


def open_images(
    store: Any,
    path: str = "",
    *,
    mode: Mode = "r",
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Image]:
    """Open all images of a group that bioformats2raw wrote, as a dict by path; {"": image} for a single image.

    Parameters and errors: as for `open_image`.

    Examples
    --------
    >>> root = gpuzarr.create_group("files.zarr", attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    >>> for path in "01":
    ...     made = gpuzarr.ome.create_image("files.zarr", (64, 64), "uint8", path=path)
    >>> list(gpuzarr.ome.open_images("files.zarr"))
    ['0', '1']
    """
    return images_of(_group(store, path, mode, device, storage_options, options))


def open_plate(
    store: Any,
    path: str = "",
    *,
    mode: Mode = "r",
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
    **options: Any,
) -> Plate:
    """Open a plate of high-content screening; its wells and images are opened when they are asked for.

    Parameters and errors: as for `open_image`.

    Examples
    --------
    >>> layout = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "version": "0.4"}
    >>> layout["wells"] = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    >>> plate = gpuzarr.create_group("plate.zarr", zarr_format=2, attributes={"plate": layout})
    >>> well = plate.create_group("A/1", attributes={"well": {"images": [{"path": "0"}], "version": "0.4"}})
    >>> made = gpuzarr.ome.create_image("plate.zarr", (64, 64), "uint8", path="A/1/0", version="0.4")
    >>> gpuzarr.ome.open_plate("plate.zarr")["A/1"].image(0).shape
    (64, 64)
    """
    return plate_of(_group(store, path, mode, device, storage_options, options))


def create_plate(
    store: Any,
    rows: Any,
    columns: Any,
    *,
    name: str | None = None,
    acquisitions: Any = None,
    version: str | None = None,
    path: str = "",
    overwrite: bool = False,
    device: str | Device = "auto",
    storage_options: dict[str, Any] | None = None,
) -> Plate:
    """Make a plate of high-content screening; `Plate.create_image` and `Plate.write_image` then fill its wells.

    An existing plate with the same rows, columns, name and acquisitions is kept, with its wells: many processes may
    make the same plate, and fill its wells at the same time. A plate is valid once it has a well.

    Parameters
    ----------
    store, path, device, storage_options
        As for `create_image`.
    rows, columns
        Their names: a list such as ["A", "B"], or a text with one letter each, "AB"; or how many there are: 8 rows are
        A to H, 12 columns are 1 to 12.
    name
        The name of the plate.
    acquisitions
        The runs of the microscope: how many there are, their names, or objects of OME-NGFF, such as
        `{"id": 1, "name": "day 1", "starttime": 1343731272000}`.
    version
        The version of OME-Zarr of the plate and its images: "0.5" (default), "0.6" or "0.4".
    overwrite
        True: replace whatever exists there, with all below it.

    Returns
    -------
    Plate

    Raises
    ------
    ArgumentError
        An argument makes no sense; the message names it.
    ExistsError
        Another plate, an image or an array exists there.
    MetadataError, StoreError, DeviceError
        As for `create_image`.

    Examples
    --------
    >>> plate = gpuzarr.ome.create_plate("plate.zarr", rows=8, columns=12, name="drug screen")
    >>> for well in ("A/1", "H/12"):
    ...     image = plate.write_image(well, np.full((2, 256, 256), 5, np.uint16), axes="cyx", scale=0.65, units="um")
    >>> plate = gpuzarr.ome.open_plate("plate.zarr")
    >>> list(plate), plate["H/12"].image(0).scales[0]
    (['A/1', 'H/12'], (1.0, 0.65, 0.65))

    Source: https://ngff.openmicroscopy.org/0.5/
    """
    made = new_plate(store, rows, columns, name, acquisitions, version, path, overwrite, device, storage_options)
    return plate_of(made)


def _group(store: Any, path: str, mode: Mode, device: Any, storage_options: Any, options: dict[str, Any]) -> Group:
    if one_of(mode, "mode", "r", "r+", "a") == "a":  # there is nothing to make
        mode = "r+"
    return open_group(store, path, mode=mode, device=device, storage_options=storage_options, **options)


def write_image(
    store: Any,
    source: Any,
    *,
    progress: Any = False,
    resume: bool = False,
    rank: int = 0,
    world_size: int = 1,
    max_inflight: int | str = "1GiB",
    **options: Any,
) -> Image:
    """Make an image from existing values, with all its levels, in one pass and in bounded memory.

    Parameters
    ----------
    store
        As for `create_image`.
    source
        The values: a NumPy, CuPy, dask or gpuzarr array, of any size.
    progress, resume, rank, world_size, max_inflight
        As for `Image.writer`.
    **options
        As for `create_image`; shape and dtype are those of the source.

    Returns
    -------
    Image

    Raises
    ------
    ArgumentError, ExistsError, MetadataError, StoreError, DeviceError
        As for `create_image`.
    ValueKindError
        The source is not an array of numbers.

    Examples
    --------
    >>> image = gpuzarr.ome.write_image({}, np.full((256, 256), 7, np.uint8), chunks=64)
    >>> image.levels[2][0, :3]
    array([7, 7, 7], dtype=uint8)
    """
    how: dict[str, Any] = {"resume": resume, "rank": rank, "world_size": world_size, "max_inflight": max_inflight}
    return write_new(partial(create_image, store), "write_image", source, progress=progress, **how, **options)


def write_labels(image: Image, source: Any, name: str, **options: Any) -> Image:
    """Make a label image within an image from existing values, with all its levels.

    Parameters
    ----------
    image
        The image that is labelled; opened for writing, or just made.
    source
        As for `write_image`, but integers; with the shape of the image, with or without its channels.
    name
        The name of the labels.
    **options
        As for `write_image` and `create_image`: `progress`, `colors`, `properties`, `background`, `chunks`, ...

    Returns
    -------
    Image

    Raises
    ------
    ArgumentError, ExistsError, MetadataError, ReadOnlyError, StoreError, ValueKindError
        As for `write_image`.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image({}, (256, 256), "uint8", levels=2)
    >>> cells = gpuzarr.ome.write_labels(image, np.full((256, 256), 3, np.uint32), "cells", colors={3: "#00ff00"})
    >>> image.labels["cells"].levels[1][0, 0]
    np.uint32(3)
    """
    return write_image(None, source, labels_of=image, name=name, **options)


def downsample(values: Any, factors: Any, method: str = "mean", *, background: int | float | None = None) -> Any:
    """Make an array smaller: each window becomes one element. Levels of images are made this way.

    Windows begin at multiples of the factors; those at the end of an axis have what is left. Results are the same, bit
    for bit, on a CPU and on a GPU; and, but for NaN, they are those of `tensorstore.downsample`.

    Parameters
    ----------
    values
        A NumPy or CuPy array, or a stored one, which is read as a whole.
    factors
        The length of a window along each axis; a single integer applies to all of them.
    method
        - "mean": integers are rounded to the nearest one, ties to even (2 and 3 give 2, 3 and 4 give 4), without
          overflow. Floats are added in C order, float16 and bfloat16 as float32, and then divided.
        - "mode": the most frequent element; the least if several are.
        - "nearest": the first element of the window.
        - "max", "min": the greatest or the least element.
        - "median": the middle element; the lesser if there are two.

        A NaN makes a mean NaN. Mode, max, min and median ignore NaNs unless a window has nothing else.
    background
        For "mode": a value that wins only where the window has no other.

    Returns
    -------
    ndarray
        A new array of the same dtype, on the device of the values; each axis has length / factor elements, rounded up.

    Raises
    ------
    ArgumentError
        Factors, method or background make no sense, or the method does not take this dtype.

    Examples
    --------
    >>> gpuzarr.ome.downsample(np.array([[1, 2, 7], [2, 4, 8]], np.uint8), 2)
    array([[2, 8]], dtype=uint8)
    >>> gpuzarr.ome.downsample(np.array([0, 0, 0, 5, 0, 0]), 4, "mode", background=0)
    array([5, 0])
    """
    return downsampled(values, factors, method, background)
