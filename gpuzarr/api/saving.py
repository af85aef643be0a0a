"""Functions that store something as a whole: groups, arrays of given values, consolidated metadata."""

from __future__ import annotations

from typing import Any, Literal

from gpuzarr import config
from gpuzarr.api.creating import array
from gpuzarr.api.opening import open, open_group
from gpuzarr.checks import flag, shown
from gpuzarr.creation import format_above, new_group
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, NotFoundError
from gpuzarr.metadata import files, summaries
from gpuzarr.nodes.create import Members, placed
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.keywords import CREATED, known
from gpuzarr.nodes.opener import Mode
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.finding.resolve import wanted_format
from gpuzarr.stores.handles import complete

Format = Literal[2, 3] | None
NO_STORE = ("storage_options",)


def create_group(
    store: Any,
    *,
    path: str | None = None,
    zarr_format: Format = None,
    overwrite: bool = False,
    attributes: dict[str, Any] | None = None,
    device: Any = "auto",
    storage_options: dict[str, Any] | None = None,
    **unknown: Any,
) -> Group:
    """Make a group, and the groups above it.

    A group that already exists is kept if it has these attributes, maybe among others: many processes may make the
    same group.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    zarr_format
        2 or 3; default: that of the group above, else of `gpuzarr.config`, which is 3.
    overwrite
        True: replace whatever exists there, with all below it.
    attributes
        The attributes of the new group.
    device
        Where arrays of the group are decoded, as for `open`.
    storage_options
        Options for what a URL names, as for `open`.
    **unknown
        Other keywords are refused.

    Returns
    -------
    Group

    Raises
    ------
    ExistsError
        There is an array, or a group with other attributes, or an array among the nodes above.
    StoreError
        The store could not be written.

    Examples
    --------
    >>> g = gpuzarr.create_group("store.zarr", path="a/b", attributes={"title": "a test"})
    >>> gpuzarr.open("store.zarr")["a/b"].attrs["title"]
    'a test'
    """
    known("create_group", unknown, ("store", "path", "zarr_format", "overwrite", "attributes", "device", *NO_STORE))
    zarr_format = wanted_format(store, zarr_format)
    store, path = store_of(store, storage_options, "a"), files.clean("" if path is None else path)
    device = device_of(device)
    version = config.new_format(zarr_format or format_above(store, path))
    new_group(store, path, version, attributes, flag(overwrite, "overwrite"))
    return open_group(store, path, mode="r+", zarr_format=zarr_format, device=device)


def save_array(
    store: Any,
    arr: Any,
    *,
    zarr_format: Format = None,
    path: str | None = None,
    mode: Mode | None = None,
    overwrite: bool = True,
    **options: Any,
) -> None:
    """Store an array of these values, in the place of whatever exists at this path.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    arr
        An array of NumPy or CuPy, anything with DLPack, or a list.
    zarr_format
        2 or 3; default: that of the group above, else of `gpuzarr.config`, which is 3.
    mode, overwrite
        As for `create`; but the default is to delete.
    **options
        As for `create_array`.

    Raises
    ------
    MetadataError, StoreError, DeviceError
        As for `create_array`.

    Examples
    --------
    >>> gpuzarr.save_array("a.zarr", np.arange(6).reshape(2, 3), chunks=(1, 3))
    >>> gpuzarr.open("a.zarr").chunks
    (1, 3)
    """
    place = placed(store, path, options.get("storage_options"))
    options |= {
        "zarr_format": config.new_format(wanted_format(store, zarr_format) or format_above(*place)),
        "overwrite": flag(overwrite, "overwrite") and mode != "w-",
    }
    array(arr, store=store, path=path, mode=mode, **options)
    complete(place[0])


def save(
    store: Any,
    *args: Any,
    zarr_format: Format = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Store an array, or several arrays in a group, in the place of whatever exists at this path.

    If one of them cannot be stored, what existed stays as it was.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    *args
        Arrays. One alone is stored at the path itself; several are members of a group there, named "arr_0", "arr_1"...
    zarr_format
        2 or 3; default: that of the group above, else of `gpuzarr.config`, which is 3.
    storage_options
        Options for what a URL names, as for `open`.
    **kwargs
        Arrays that are members of a group by the names of the keywords.

    Raises
    ------
    MetadataError, StoreError, DeviceError
        As for `create_array`.

    Examples
    --------
    >>> gpuzarr.save("one.zarr", [1, 2, 3])
    >>> gpuzarr.load("one.zarr")
    array([1, 2, 3])
    >>> gpuzarr.save("two.zarr", x=[1, 2], y=[0.5, 1.5])
    >>> gpuzarr.load("two.zarr")
    {'x': array([1, 2]), 'y': array([0.5, 1.5])}
    """
    store, zarr_format = store_of(store, storage_options, "a"), wanted_format(store, zarr_format)
    if len(args) == 1 and not kwargs:
        save_array(store, args[0], zarr_format=zarr_format, path=path)
        return
    save_group(store, *args, zarr_format=zarr_format, path=path, **kwargs)


def save_group(
    store: Any,
    *args: Any,
    zarr_format: Format = None,
    path: str | None = None,
    storage_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Store arrays in a group, in the place of whatever exists at this path.

    The parameters and errors are those of `save`, but a single array is a member of a group too.

    Examples
    --------
    >>> gpuzarr.save_group("store.zarr", [1, 2], mask=[True, False])
    >>> list(gpuzarr.open("store.zarr"))
    ['arr_0', 'mask']
    """
    if not args and not kwargs:
        raise ArgumentError("nothing to save")
    _check_arrays(kwargs)
    zarr_format = wanted_format(store, zarr_format)
    store, above = store_of(store, storage_options, "a"), files.clean("" if path is None else path)
    version = config.new_format(zarr_format or format_above(store, above))
    arrays = {
        files.clean(name): arr for name, arr in ({f"arr_{i}": arr for i, arr in enumerate(args)} | kwargs).items()
    }
    if "" in arrays:
        raise ArgumentError("an array that is a member of a group needs a name")

    def fill(path: str) -> None:
        for name, arr in arrays.items():
            array(arr, store=Members(store, path), path=name, zarr_format=version)

    new_group(store, above, version, None, True, fill)
    complete(store)


def _check_arrays(given: dict[str, Any]) -> None:
    """Refuse keywords that are no arrays: `mode="w"` is meant for another function, and would be an array here."""
    for name, arr in given.items():
        is_option = name in CREATED and not hasattr(arr, "dtype")
        if is_option or arr is None or isinstance(arr, str | bytes | bool | dict):
            text = f"Keyword argument {name!r} must be a numpy or other NDArrayLike array, not {shown(arr)}"
            raise ArgumentError(f"{text}: save_array() and create_array() take options of arrays")


def consolidate_metadata(
    store: Any,
    path: str | None = None,
    zarr_format: Format = None,
    *,
    storage_options: dict[str, Any] | None = None,
) -> Group:
    """Copy the metadata of all nodes below a group into one document, so that a single request opens them all.

    What gpuzarr changes below the group later, by whichever function, is changed in that document, too; so a change
    takes longer the more nodes there are. Changes by other programs are not seen in it before it is made again.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    zarr_format
        The version of Zarr; default: that of the group.
    storage_options
        Options for what a URL names, as for `open`.

    Returns
    -------
    Group
        The group, opened by its consolidated metadata.

    Raises
    ------
    NotFoundError
        There is no group at this path.
    MetadataError, StoreError
        As for `open`.

    Examples
    --------
    >>> gpuzarr.save_group("store.zarr", a=[1, 2], b=[3.5])
    >>> group = gpuzarr.consolidate_metadata("store.zarr")
    >>> gpuzarr.open_group("store.zarr", consolidated=True)["b"].shape
    (1,)
    """
    zarr_format = wanted_format(store, zarr_format)
    store, path = store_of(store, storage_options, "a"), files.clean("" if path is None else path)
    group = open(store, path, mode="r+", zarr_format=zarr_format, consolidated=False)  # what there is may be wrong
    if not isinstance(group, Group):
        raise NotFoundError(f"{group!r} is an array, not a group")
    summaries.make(store, path, group.zarr_format)
    return open_group(store, path, mode="r+", zarr_format=group.zarr_format, consolidated=True)
