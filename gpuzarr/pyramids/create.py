"""Make images: a group with the metadata, and an array for each level."""

from __future__ import annotations

from functools import partial
from typing import Any

from gpuzarr.checks import flag, options
from gpuzarr.creation import DEFAULT, new_group
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, ExistsError
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import Members, create_array, placed
from gpuzarr.nodes.opener import Opener
from gpuzarr.pyramids.chunking import chunks_for, fitted, shards_for
from gpuzarr.pyramids.frames import Frame, frame_of_labels, new_frame
from gpuzarr.pyramids.geozarr import geozarr_attributes
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.label_values import label_document
from gpuzarr.pyramids.labels import GROUP, add, check_name
from gpuzarr.pyramids.levels import placements, shapes
from gpuzarr.pyramids.metadata import image_attributes
from gpuzarr.pyramids.metadata.model import ZARR_FORMATS, Dataset, ImageMetadata, Multiscale
from gpuzarr.pyramids.methods import checked_background, checked_dtype, checked_method, described
from gpuzarr.pyramids.omero import omero_document
from gpuzarr.pyramids.opening import image_of
from gpuzarr.write.target import Writable


def create_image(
    store: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    axes: Any = None,
    scale: Any = None,
    units: Any = None,
    translation: Any = None,
    levels: Any = "auto",
    factors: Any = None,
    method: str | None = None,
    background: int | float | None = None,
    version: str | None = None,
    name: str | None = None,
    path: str = "",
    chunks: Any = "auto",
    shards: Any = None,
    compressors: Any = "auto",
    filters: Any = "auto",
    fill_value: Any = DEFAULT,
    labels_of: Image | None = None,
    colors: Any = None,
    properties: Any = None,
    omero: Any = None,
    attributes: dict[str, Any] | None = None,
    geozarr: bool = False,
    overwrite: bool = False,
    device: Any = "auto",
    config: dict[str, Any] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Image:
    """Make an OME-Zarr image: a group with an empty array for each resolution, and the metadata that viewers read.

    `image.writer()` then writes all levels in one pass. An existing image with the same metadata and the same
    arrays is kept: many processes may make the same image.

    Parameters
    ----------
    store
        As for `gpuzarr.open`. With `labels_of`: None, since labels are stored within their image.
    shape, dtype
        Of the finest level. The dtype is numeric; for labels, an integer. With `labels_of`, the shape is by default
        that of the image without its channels.
    axes
        The names of the axes, in the order t, c, z, y, x; default: as many of the last of these as there are axes. A
        text, or a list; an axis of another type is an object: `[{"name": "angle", "type": "other"}, "y", "x"]`.
    scale
        The size of a voxel of the finest level, in `units`: a number for the space axes, a dict by axis name, or a list
        with a number for each axis. Default: 1.
    units
        A unit for the space axes, a dict, or a list; units are names from UDUNITS-2 ("micrometer", "second") or the
        usual symbols ("um", "nm", "s", ...).
    translation
        Where the centre of the first voxel of the finest level is; given like `scale`. Default: 0.
    levels
        How many levels there are. "auto" (default): as many as it takes for a level's space axes to fit into a chunk.
    factors
        By how much each level is reduced: an integer for the space axes, a dict by axes, a list with one for each axis,
        or a list of such lists, one for each step. Default: each step halves the space axes whose voxels are less than
        twice as long as those of the finest axis, so anisotropic voxels become more and more like cubes; time and
        channels are not reduced.
    method
        How the elements of a window become one: "mean" (default), "mode" (default for labels), "nearest", "max", "min"
        or "median"; `gpuzarr.ome.downsample` says exactly what each does.
    background
        For "mode": a value that wins only where the window has no other.
    version
        The version of OME-Zarr: "0.5" (default) or "0.6", both in Zarr v3, or "0.4", in Zarr v2.
    name
        The name of the image. With `labels_of`: of the labels, and of their group within `labels/`.
    path
        The path of the group in the store; default: the root.
    chunks, shards
        The shape of a chunk, and of a shard, of each level; smaller if the level is smaller. Default chunks: 64
        cubed in volumes; in planes 512 squared, or 1024 squared if an element is one byte. `shards="auto"`: 256 cubed
        or 4096 squared. Otherwise as for `gpuzarr.create_array`.
    compressors, filters, fill_value, device, config, storage_options
        As for `gpuzarr.create_array`, for each level.
    labels_of
        The image of which this is a label image. It gives axes, scale, units, factors and the version.
    colors, properties
        For labels: dicts from labels to colours, such as (255, 0, 0) or "#ff0000", and to dicts of properties.
    omero
        How channels are displayed: a list with a name, or a dict of `label`, `color` and `window`, for each channel;
        or the whole `omero` object.
    attributes
        More attributes of the group.
    geozarr
        True: also describe the levels by the Zarr convention `multiscales`, which mapping programs read.
    overwrite
        True: replace whatever exists there, with all below it.

    Returns
    -------
    Image

    Raises
    ------
    ArgumentError
        An argument makes no sense; the message names it.
    ExistsError
        Another node exists there.
    MetadataError, StoreError, DeviceError
        As for `gpuzarr.create_array`.

    Examples
    --------
    >>> image = gpuzarr.ome.create_image("a.zarr", (100, 300, 300), "uint16", scale=(2, 0.5, 0.5), units="um")
    >>> [level.shape for level in image.levels], image.factors[0]
    ([(100, 300, 300), (100, 150, 150), (100, 75, 75), (50, 38, 38)], (1, 2, 2))
    >>> cells = gpuzarr.ome.create_image(None, dtype="uint32", labels_of=image, name="cells", colors={1: "#ff0000"})
    >>> gpuzarr.ome.open_image("a.zarr").labels["cells"].colors
    {1: (255, 0, 0, 255)}

    Source: https://ngff.openmicroscopy.org/0.5/
    """
    is_labels = labels_of is not None
    kind = checked_dtype(dtype, is_labels)
    method = checked_method(method, is_labels)
    chunk = partial(chunks_for, chunks, itemsize=kind.itemsize)
    if labels_of is None:
        frame = new_frame(shape, axes, units, scale, translation, version, levels, factors, chunk)
        if colors is not None or properties is not None:
            raise ArgumentError("colors and properties are for labels: give labels_of")
    else:
        own = {"store": store, "path": path or None, "scale": scale, "units": units, "translation": translation}
        own |= {"version": version, "factors": factors, "levels": None if levels == "auto" else levels}
        frame = frame_of_labels(labels_of, shape, axes, own)
        store, path = labels_of.group.store, labels_of.group.member(f"{GROUP}/{check_name(name)}")
        labels_of.group.check_writable()
    multiscale = _multiscale(frame, name or path.rpartition("/")[2] or "image", method, background)
    metadata = ImageMetadata(
        *(frame.version, (multiscale,), omero_document(omero, frame.channels, kind)),
        label_document(colors, properties) if is_labels else None,
    )
    told = _attributes(attributes, metadata, frame, method, flag(geozarr, "geozarr"))
    chosen = chunk(frame.shape, frame.axes)
    layout: dict[str, Any] = {"dtype": dtype, "compressors": compressors, "filters": filters, "fill_value": fill_value}
    layout |= {"config": config, "device": device}
    place, where = placed(store, path, storage_options)
    fill = partial(_make_levels, frame, chosen, shards_for(shards, chosen, frame.shape, frame.axes), layout, place)
    new_group(place, where, ZARR_FORMATS[frame.version], told, flag(overwrite, "overwrite"), fill)
    opener = Opener(place, device_of(device), ZARR_FORMATS[frame.version], False, None, Writable.of(config))
    group = opener(where)
    if isinstance(group, Array):
        raise ExistsError(f"{group!r} is an array; an image cannot be made there")
    if labels_of is not None:
        add(labels_of.group.get_group(GROUP), path.rpartition("/")[2], frame.version)
    return image_of(group)


def _multiscale(frame: Frame, name: str, method: str, background: Any) -> Multiscale:
    """The levels of an image, with their paths and places."""
    places = placements(frame.scale, frame.translation, frame.factors, method)
    datasets = [Dataset(str(i), *each) for i, each in enumerate(places)]
    told = described(method, frame.factors, checked_background(background, method))
    return Multiscale(frame.axes, tuple(datasets), name, method, told)


def _attributes(given: Any, metadata: ImageMetadata, frame: Frame, method: str, geozarr: bool) -> dict[str, Any]:
    """The attributes of the group."""
    attributes = {} if given is None else options(given, "attributes")
    made = image_attributes(metadata)
    if geozarr:
        if ZARR_FORMATS[frame.version] == 2:
            raise ArgumentError("geozarr: the convention is for Zarr v3, so for version 0.5 and later")
        paths = [each.path for each in metadata.multiscales[0].datasets]
        made |= geozarr_attributes(paths, frame.factors, len(frame.shape), method)
    if both := sorted(attributes.keys() & made.keys()):
        raise ArgumentError(f"attributes: {both[0]!r} is made from the other arguments")
    return made | attributes


def _make_levels(frame: Frame, chunks: Any, shards: Any, options: dict[str, Any], store: Any, path: str) -> None:
    """Make the arrays of all levels below a path."""
    zarr_format = ZARR_FORMATS[frame.version]
    if zarr_format == 2:
        if shards is not None:
            raise ArgumentError("shards are for Zarr v3, so for version 0.5 and later")
        options = options | {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    else:
        options = options | {"dimension_names": [axis.name for axis in frame.axes]}
    for i, shape in enumerate(shapes(frame.shape, frame.factors)):
        inner, outer = fitted(chunks, shards, shape)
        fitting: dict[str, Any] = {"shape": shape, "chunks": inner, "shards": outer, "zarr_format": zarr_format}
        create_array(Members(store, path), name=str(i), **fitting, **options)
