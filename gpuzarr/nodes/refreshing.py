"""Read the metadata of a node again, and forget what was remembered of its store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from gpuzarr.errors import NotFoundError
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.stores import versions
from gpuzarr.stores.identity import identity

if TYPE_CHECKING:
    from gpuzarr.nodes.array import Array
    from gpuzarr.nodes.group import Group
    from gpuzarr.nodes.opener import Opener


def refresh_array(self: Array) -> Array:
    """Read the metadata again, in place, and forget what was remembered of the store: what others have changed is seen.

    Metadata (shape, attributes, codecs) are read when an array is opened, and here. Chunks need no refresh: each read
    gets what is in the store then. What is remembered of them is compared with it: indexes of shards, and chunks of a
    `ChunkCache`, are used while the file or object they came from has the same version (files: inode, length and time
    of change; remote objects: the ETag that comes with each answer). Only where the cache was given `max_age_seconds`
    chunks may be older; after this the next read asks again. What a store itself remembers of places of chunks is
    forgotten, too; but references of kerchunk, and files of HDF5 or TIFF that were replaced, have to be opened again.

    Returns
    -------
    Array
        This array.

    Raises
    ------
    NotFoundError
        There is no array at its path any more.
    MetadataError
        The metadata are wrong. The array stays as it was.

    Examples
    --------
    >>> gpuzarr.save("store.zarr", np.arange(3))
    >>> a = gpuzarr.open("store.zarr")
    >>> gpuzarr.save("store.zarr", np.arange(5))
    >>> a.shape, a.refresh().shape
    ((3,), (5,))
    """
    versions.refresh(self.store)
    self.renew(_stored(self))
    if self.cache is not None:
        self.cache.doubt(identity(self.store, self.path))
    return self


def _stored(array: Array) -> ArrayMetadata:
    """The metadata of an array, from its own document; or, where it has none, from those of a group above it."""
    from gpuzarr.creation.paths import above  # who only reads has no use for that room
    from gpuzarr.nodes.opener import Opener

    opener = Opener(array.store, array.device, array.zarr_format)
    node = opener.get(array.path)
    if node is None:  # it may be one of N5
        node = replace(opener, zarr_format=None).get(array.path)
    for path in [] if node is not None else reversed(above(array.path)):
        group = opener.get(path)
        if group is not None and getattr(group.metadata, "consolidated", None) is not None:
            node = cast("Group", group).opener.get(array.path)
            break
    if node is None:
        node = opener(array.path)  # which is an error that says what is there
    if not isinstance(node.metadata, ArrayMetadata):
        raise NotFoundError(f"{node!r} is a group now, not an array")
    return node.metadata


def refresh_group(self: Group) -> Group:
    """Read the metadata again, in place, and forget what was remembered of the store: what others have changed is seen.

    Without consolidated metadata members are looked for each time, and only the attributes are remembered. With them
    all nodes below the group are known from when it was opened, and from here on as they are then. Arrays and groups
    that were opened by way of this one stay as they are; each has a `refresh` of its own.

    Returns
    -------
    Group
        This group.

    Raises
    ------
    NotFoundError
        There is no group at its path any more.
    MetadataError
        The metadata are wrong. The group stays as it was.

    Examples
    --------
    >>> gpuzarr.save_group("store.zarr", a=np.arange(3))
    >>> g = gpuzarr.consolidate_metadata("store.zarr")
    >>> g.refresh().keys()
    ['a']
    """
    from gpuzarr.nodes.array import Array

    versions.refresh(self.store)
    opener = cast("Opener", self.opener)
    fresh: Any = replace(opener, known=None)
    if opener.known is not None:
        fresh = cast(Any, fresh(opener.known.path)).opener
    node = fresh(self.path)
    if isinstance(node, Array):
        raise NotFoundError(f"{node!r} is an array now, not a group")
    self.metadata, self.opener = node.metadata, node.opener
    if opener.options.cache is not None:
        opener.options.cache.doubt(identity(self.store, self.path))
    return self
