"""Functions that open or make groups, and hierarchies of groups and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpuzarr.api.opening import open_group
from gpuzarr.checks import flag
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, ZarrDeprecationWarning, warn
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.hierarchy import created
from gpuzarr.nodes.keywords import own
from gpuzarr.nodes.listing import Tree
from gpuzarr.nodes.opener import Opener
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.write.target import Writable


def group(store: Any = None, *, path: str | None = None, overwrite: bool = False, **options: Any) -> Group:
    """Open a group for writing, or make it.

    Parameters
    ----------
    store, path
        As for `create`.
    overwrite
        True: replace whatever exists there.
    **options
        As for `open_group`.

    Returns
    -------
    Group

    Raises
    ------
    ArgumentError
        A keyword is unknown.
    NotFoundError
        There is an array at this path.
    MetadataError, StoreError, DeviceError
        As for `open`.

    Examples
    --------
    >>> g = gpuzarr.group()
    >>> g["a"] = [1, 2, 3]
    >>> g["a"].shape
    (3,)
    """
    own("group", options, mode="`overwrite` says whether an old group goes; open_group() has modes")
    mode = "w" if flag(overwrite, "overwrite") else "a"
    return open_group(store, path, mode=mode, **options)


def create_hierarchy(
    *,
    store: Any,
    nodes: Mapping[str, Any],
    overwrite: bool = False,
    device: Any = "auto",
    storage_options: dict[str, Any] | None = None,
) -> Iterator[tuple[str, Array | Group]]:
    """Make many groups and arrays at once, as documents describe them, and the groups between them.

    Parameters
    ----------
    store
        As for `open`.
    nodes
        A dict from paths to the metadata of nodes: documents as `metadata.to_dict()` of an array or group gives them,
        or metadata of zarr-python, all of one version of Zarr.
    overwrite
        True: replace what exists at these paths. Groups that are only between them are kept in any case.
    device
        Where arrays are decoded, as for `open`.
    storage_options
        Options for what a URL names, as for `open`.

    Returns
    -------
    iterator
        The paths and nodes that were made, a group before its members.

    Raises
    ------
    ArgumentError
        The nodes do not fit together; for instance, one is a member of an array.
    ExistsError
        One of the nodes exists.
    MetadataError, StoreError, DeviceError
        As for `create_array`. All nodes are made, or none.

    Examples
    --------
    >>> old = gpuzarr.zeros((2, 3), dtype="int16", attributes={"unit": "K"})
    >>> group = {"zarr_format": 3, "node_type": "group", "attributes": {"title": "a test"}}
    >>> store = {}
    >>> made = dict(gpuzarr.create_hierarchy(store=store, nodes={"a": group, "b/c": old.metadata.to_dict()}))
    >>> print(gpuzarr.open(store).tree())
    /
    ├── a
    └── b
        └── c (2, 3) int16
    >>> made["b/c"].attrs["unit"]
    'K'
    """
    place = store_of(store, storage_options, "a")
    return iter(created(Opener(place, device_of(device), None, False, None, Writable()), nodes, overwrite))


def tree(grp: Group, expand: bool | None = None, level: int | None = None) -> Tree:
    """Draw all nodes below a group, as `grp.tree(level=level)`, which is what to call instead.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> print(gpuzarr.tree(gpuzarr.group()))
    /
    """
    if not isinstance(grp, Group):
        raise ArgumentError(f"tree() draws a group of this library, not a {type(grp).__name__}")
    warn("tree(group) is deprecated. Use Group.tree instead.", ZarrDeprecationWarning)
    return grp.tree(expand, level)
