"""Functions that store something as a whole: groups, arrays of given values, consolidated metadata."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

from gpuzarr.api.opening import open, open_group
from gpuzarr.checks import flag
from gpuzarr.checks import zarr_format as checked_format
from gpuzarr.creation import delete, new_group
from gpuzarr.errors import ArgumentError, GpuZarrError, NotFoundError
from gpuzarr.metadata import files, summaries
from gpuzarr.nodes.create import create_array
from gpuzarr.nodes.group import Group
from gpuzarr.stores.resolve import store as store_of

Format = Literal[2, 3] | None


def create_group(
    store: Any,
    *,
    path: str | None = None,
    zarr_format: Format = None,
    overwrite: bool = False,
    attributes: dict[str, Any] | None = None,
    device: Any = "auto",
) -> Group:
    """Make a group, and the groups above it.

    A group that already exists is kept if it has these attributes, maybe among others: many processes may make the
    same group.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    zarr_format
        2 or 3 (default).
    overwrite
        True: delete whatever exists there first, with all below it.
    attributes
        The attributes of the new group.
    device
        Where arrays of the group are decoded, as for `open`.

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
    store, path = store_of(store), files.clean("" if path is None else path)
    new_group(store, path, checked_format(zarr_format) or 3, attributes, flag(overwrite, "overwrite"))
    return open_group(store, path, mode="r+", zarr_format=zarr_format, device=device)


def save_array(store: Any, arr: Any, *, zarr_format: Format = None, path: str | None = None, **options: Any) -> None:
    """Store an array of these values; whatever exists at this path is deleted first.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    arr
        An array of NumPy or CuPy, anything with DLPack, or a list.
    zarr_format
        2 or 3 (default).
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
    create_array(store, name=path, data=arr, zarr_format=checked_format(zarr_format) or 3, overwrite=True, **options)


def save(store: Any, *args: Any, zarr_format: Format = None, path: str | None = None, **kwargs: Any) -> None:
    """Store an array, or several arrays in a group; whatever exists at this path is deleted first.

    If one of them cannot be stored, nothing is left at the path.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    *args
        Arrays. One alone is stored at the path itself; several are members of a group there, named "arr_0", "arr_1"...
    zarr_format
        2 or 3 (default).
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
    if len(args) == 1 and not kwargs:
        save_array(store, args[0], zarr_format=zarr_format, path=path)
        return
    save_group(store, *args, zarr_format=zarr_format, path=path, **kwargs)


def save_group(store: Any, *args: Any, zarr_format: Format = None, path: str | None = None, **kwargs: Any) -> None:
    """Store arrays in a group; whatever exists at this path is deleted first.

    The parameters and errors are those of `save`, but a single array is a member of a group too.

    Examples
    --------
    >>> gpuzarr.save_group("store.zarr", [1, 2], mask=[True, False])
    >>> list(gpuzarr.open("store.zarr"))
    ['arr_0', 'mask']
    """
    if not args and not kwargs:
        raise ArgumentError("nothing to save")
    above = files.clean("" if path is None else path)
    create_group(store, path=above, zarr_format=zarr_format, overwrite=True)
    try:
        for name, arr in ({f"arr_{i}": arr for i, arr in enumerate(args)} | kwargs).items():
            save_array(store, arr, zarr_format=zarr_format, path=f"{above}/{name}")
    except BaseException:
        with suppress(GpuZarrError):  # what went wrong first is raised
            delete(store_of(store), above)
        raise


def consolidate_metadata(store: Any, path: str | None = None, zarr_format: Format = None) -> Group:
    """Copy the metadata of all nodes below a group into one document, so that a single request opens them all.

    What gpuzarr changes below the group later, by whichever function, is changed in that document, too; so a change
    takes longer the more nodes there are. Changes by other programs are not seen in it before it is made again.

    Parameters
    ----------
    store, path
        As for `open`; `path` is by default the root.
    zarr_format
        The version of Zarr; default: that of the group.

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
    store, path = store_of(store), files.clean("" if path is None else path)
    group = open(store, path, mode="r+", zarr_format=zarr_format)
    if not isinstance(group, Group):
        raise NotFoundError(f"{group!r} is an array, not a group")
    summaries.make(store, path, group.zarr_format)
    return open_group(store, path, mode="r+", zarr_format=group.zarr_format, consolidated=True)
