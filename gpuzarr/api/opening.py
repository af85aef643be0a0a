"""Open arrays and groups."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal

from gpuzarr import config as settings
from gpuzarr.checks import flag, one_of
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import (
    ArgumentError,
    NotFoundError,
    ReadOnlyError,
    StoreError,
    ZarrDeprecationWarning,
    warn,
)
from gpuzarr.metadata import files
from gpuzarr.nodes import keywords
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.opener import MODES, Mode, Opener, why_unwritable
from gpuzarr.read.cache import ChunkCache
from gpuzarr.read.strategy import Options
from gpuzarr.stores.finding.locations import Access
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.finding.resolve import wanted_format
from gpuzarr.stores.moving import recover


def open(  # as zarr.open
    store: Any = None,
    path: str | None = "",
    *,
    mode: Mode | None = None,
    device: str | Device = "auto",
    zarr_format: Literal[2, 3] | None = None,
    consolidated: bool | None = None,
    config: dict[str, Any] | None = None,
    memory_limit: int | str | None = None,
    validate: Literal["auto", "host"] = "auto",
    io: Literal["auto", "gds", "posix"] = "auto",
    cache: int | str | ChunkCache | None = None,
    storage_options: dict[str, Any] | None = None,
    **new: Any,
) -> Array | Group:
    """Open an array or a group.

    Parameters
    ----------
    store
        A path of a folder, a zip or a file of another format; a URL (`s3://`, `gs://`, `az://`, `https://`, `file://`,
        `memory://`, what fsspec knows), or a pipeline of them (`s3://bucket/a.zip|zip:path`); a mapping of keys to
        bytes; a store of `gpuzarr.storage`, zarr-python, fsspec, obstore or Icechunk. None (default): a new store in
        memory.
    path
        The path of the node in the store; "" is the root.
    mode
        "r" (default): read only. "r+": read and write what exists. "a": the same, and make a group where nothing
        exists. "w": make a group in the place of what exists. "w-": make a group; an error if anything exists.
        With a `shape` or `data`, an array is made instead of a group. A node opened for writing is found by its own
        metadata, not by consolidated metadata, unless `consolidated=True`.
    device
        Where chunks are decoded and results are returned: "auto" (default: a GPU if there is one), "cpu", "cuda" or
        "cuda:1".
    zarr_format
        Look only for this version of Zarr, and make new nodes in it. Default: look for both, and then for N5, which is
        only read, as arrays and groups of version 3; new nodes are of the version of the group above, or of the one in
        `gpuzarr.config`, which is 3.
    consolidated
        True: the group must have consolidated metadata. False: ignore it. None (default): use it if it exists.
    config
        How arrays are written. `{"write_empty_chunks": True}` also stores chunks that hold nothing but the fill
        value. `{"safe": False}` takes no locks; only for programs in which no two processes write parts of the same
        chunk or shard.
    memory_limit
        Bytes (an int, or a text such as "256MiB") that a read may hold beyond its result, pinned and device memory
        together. Default: 1 GiB on a CPU; on a GPU 16 GiB, or a quarter of the free device memory if that is less,
        of which at most 2 GiB are pinned. If a single chunk needs more, chunks are read one by one.
    validate
        "host" decodes on the CPU and then copies the values to the device: for data from untrusted sources, since
        nvCOMP promises little for damaged streams. Default: "auto".
    io
        "posix" reads files into pinned memory. "gds" reads them straight into device memory (GPUDirect Storage, by
        kvikio). "auto" (default) uses GPUDirect Storage where it works and the host needs no byte of the chunks.
    cache
        Bytes (an int, or a text such as "1GiB") of decoded chunks that stay in memory for later reads, or a
        `ChunkCache` that several arrays share. All arrays of a group share one. Default: nothing is kept.
    storage_options
        Options for what a URL names, as obstore (S3, Google Cloud Storage, Azure, HTTP) or a file system of fsspec
        takes them: `skip_signature`, `endpoint`, `region`, ... What s3fs, gcsfs and adlfs call otherwise (`anon`,
        `key`, `endpoint_url`, ...) is understood, too. Of references: `allow`, a list of folders and URLs below which
        the files may lie that they name, beside the folder of the references themselves; `remote_options` for these.
    **new
        Properties of a node that is made: for an array the parameters of `create_array` (`shape`, `dtype`, by default
        "float64", `chunks`, ...), for a group `attributes`. They do not change a node that exists.

    Returns
    -------
    Array or Group

    Raises
    ------
    ArgumentError
        An argument is of another type or value than above, or `path` leads out of the store.
    NotFoundError
        There is no array or group at this path.
    ExistsError
        There is one, and the mode is "w-".
    ReadOnlyError
        The mode is not "r", and the store, the folder or a document says that it is read-only.
    MetadataError
        The metadata is wrong, or asks for something that is not supported (UnsupportedError).
    StoreError
        The store could not be read, or `store` is not a store.
    DeviceError
        The device does not exist, or a package that it needs is missing. (For `io="gds"`, the first read raises it.)

    Examples
    --------
    >>> gpuzarr.save_group("store.zarr", temperature=np.arange(6.0).reshape(2, 3))
    >>> group = gpuzarr.open("store.zarr")
    >>> print(group.tree())
    /
    └── temperature (2, 3) float64
    >>> a = gpuzarr.open("store.zarr", "temperature")
    >>> a[1]
    array([3., 4., 5.])
    """
    way: Mode = one_of(mode, "mode", None, *MODES) or "r"
    if new:
        zarr_format, consolidated, config = _older("open", new, zarr_format, consolidated, config)
    consolidated = None if consolidated is None else flag(consolidated, "consolidated")
    _check_new(new, way)
    writable = _writable(config) if way != "r" else None
    if writable and consolidated is None:
        consolidated = False
    options = Options().changed(memory_limit=memory_limit, validate=validate, io=io, cache=cache)
    found, zarr_format = store_of(store, storage_options, _access(way)), wanted_format(store, zarr_format)
    opener = Opener(found, device_of(device), zarr_format, consolidated, None, writable, options)
    path = files.clean("" if path is None else path)
    if way == "r" and path in MODES and not opener.exists(path):  # as zarr-python 2 took it
        raise NotFoundError(f"no Zarr array or group at {path!r} in {found!r}; a mode is a keyword: mode={path!r}")
    if way == "w-":
        files.check_writable(found, path)
        opener.check_free(path)
    node = None if way in ("w", "w-") else _found(opener, path, way == "a")
    if node is None:
        _make(opener, path, way == "w", new)
        node = opener(path)
    is_known = isinstance(node, Array) and not node.read_only  # who opens an array for writing has asked
    if writable and not is_known and (reason := why_unwritable(node)) is not None:
        raise ReadOnlyError(f"{node!r} cannot be written: {reason}; open it with mode 'r'")
    return node


def _found(opener: Opener, path: str, may_lack: bool) -> Array | Group | None:
    """The node at a path, which is put back first if a killed process had put it aside; None if it `may_lack`."""
    if (node := opener.found(path)) is None and opener.writable is not None:
        with suppress(StoreError):  # where nothing can be, nothing was
            recover(opener.store, path)
        node = opener.found(path)
    if node is None and not may_lack:
        raise opener.missing(path)
    return node


def _older(function: str, new: dict[str, Any], zarr_format: Any, consolidated: Any, config: Any) -> tuple[Any, ...]:
    """The parameters of the same names, with what keywords of zarr-python say; these are taken out of `new`."""
    keywords.known(function, new, {*keywords.MADE, *keywords.OLDER, *keywords.OPENED})
    keywords.needless(new)
    if "attributes" in new and new["attributes"] is None:
        del new["attributes"]
    if (version := new.pop("zarr_version", None)) is not None:
        warn("zarr_version is deprecated: use zarr_format", ZarrDeprecationWarning)
        zarr_format = version if zarr_format is None else zarr_format
    if (summary := new.pop("use_consolidated", None)) is not None:
        consolidated = _summary(summary) if consolidated is None else consolidated
    if (empty := new.pop("write_empty_chunks", None)) is not None:
        config = keywords.with_empty_chunks(config, empty)
    return zarr_format, consolidated, config


def _access(mode: Mode) -> Access:
    """What a mode asks of a store."""
    return mode if mode in ("r", "r+") else "a"


def _summary(use_consolidated: Any) -> bool:
    """`use_consolidated` of zarr-python, in which the name of the document may stand."""
    if isinstance(use_consolidated, str) and use_consolidated not in (".zmetadata", "zarr.json"):
        raise ArgumentError(
            f"use_consolidated: metadata in {use_consolidated!r} is not supported, only in '.zmetadata'"
        )
    return flag(use_consolidated, "use_consolidated")


def _check_new(new: dict[str, Any], mode: Mode) -> None:
    """Refuse keywords that a mode has no use for."""
    if new and mode in ("r", "r+") and not {"shape", "data"} & new.keys():
        raise ArgumentError(f"mode {mode!r} makes nothing of which {sorted(new)[0]!r} could be")


def _writable(config: Any) -> Any:
    from gpuzarr.write.target import Writable

    return Writable.of(config)


def _make(opener: Opener, path: str, overwrite: bool, new: dict[str, Any]) -> None:
    from gpuzarr.creation import format_above, new_group, sides
    from gpuzarr.nodes.create import Given, create_array, with_dtype

    zarr_format: Any = settings.new_format(opener.zarr_format or format_above(opener.store, path))
    if "shape" not in new and "data" not in new:
        if no_group := sorted(new.keys() - {"attributes"}):
            raise ArgumentError(f"{no_group[0]!r} is a property of arrays: a new array also needs a shape")
        if opener.consolidated:  # before anything is replaced
            raise ArgumentError("a new group has no consolidated metadata; consolidate_metadata() makes it")
        new_group(opener.store, path, zarr_format, new.get("attributes"), overwrite)
        return
    dtype = {} if "data" in new else {"dtype": "float64"}
    if "data" in new and "shape" in new:
        shape, dtype_given = new.pop("shape"), new.pop("dtype", "float64")
        new["data"] = Given(with_dtype(new["data"]), sides("shape", shape), dtype_given)
    options = {"overwrite": overwrite, "zarr_format": zarr_format, "device": "cpu"}
    config = asdict(opener.writable or _writable(None))
    create_array(opener.store, name=path, config=config, **options, **dtype | new)


def open_array(store: Any = None, path: str | None = "", *, mode: Mode | None = None, **options: Any) -> Array:
    """Open an array.

    Parameters
    ----------
    store, path, mode, **options
        As for `open`. The modes "w" and "w-" make an array, and so need a `shape` or `data`; "a" makes one only if
        one of these is given.

    Returns
    -------
    Array

    Raises
    ------
    NotFoundError
        There is no array at this path; perhaps there is a group.
    ArgumentError, ExistsError, MetadataError, StoreError, DeviceError
        As for `open`.

    Examples
    --------
    >>> store = {}
    >>> a = gpuzarr.open_array(store, mode="w", shape=(4,), dtype="int16", fill_value=7)
    >>> a[1:3] = [1, 2]
    >>> gpuzarr.open_array(store)[:]
    array([7, 1, 2, 7], dtype=int16)
    """
    mode = one_of(mode, "mode", None, *MODES) or "r"
    if mode not in ("r", "r+") and "shape" not in options and "data" not in options:
        if mode != "a":
            raise ArgumentError(f"mode {mode!r} makes a new array, which needs a shape")
        mode = "r+"
    node = open(store, path, mode=mode, **options)
    if not isinstance(node, Array):
        raise NotFoundError(f"{node!r} is a group, not an array")
    return node


def open_group(store: Any = None, path: str | None = "", **options: Any) -> Group:
    """Open a group.

    Parameters
    ----------
    store, path, **options
        As for `open`, but of a new node only `attributes`. `use_consolidated` is another name of `consolidated`.

    Returns
    -------
    Group

    Raises
    ------
    NotFoundError
        There is no group at this path; perhaps there is an array.
    ArgumentError, ExistsError, MetadataError, StoreError, DeviceError
        As for `open`.

    Examples
    --------
    >>> store = {}
    >>> gpuzarr.save_group(store, a=[1, 2], b=[3.5])
    >>> list(gpuzarr.open_group(store))
    ['a', 'b']
    """
    keywords.known("open_group", options, ("attributes", *keywords.OPENED, *keywords.NEEDLESS, "chunk_store"))
    node = open(store, path, **options)
    if not isinstance(node, Group):
        raise NotFoundError(f"{node!r} is an array, not a group")
    return node


def open_consolidated(store: Any, path: str | None = "", *, use_consolidated: Any = True, **options: Any) -> Group:
    """Open a group by its consolidated metadata: one document that describes all nodes below the group.

    Parameters
    ----------
    store, path, **options
        As for `open_group`.

    Returns
    -------
    Group

    Raises
    ------
    MetadataError
        The group has no consolidated metadata; `consolidate_metadata` makes it.
    NotFoundError, StoreError, DeviceError
        As for `open`.

    Examples
    --------
    >>> store = {}
    >>> gpuzarr.save_group(store, a=[1, 2], b=[3.5])
    >>> group = gpuzarr.consolidate_metadata(store)
    >>> gpuzarr.open_consolidated(store)["b"][0]
    np.float64(3.5)
    """
    keywords.own("open_consolidated", options, consolidated="it is True; open_group() takes it")
    if not _summary(use_consolidated):
        raise ArgumentError("open_consolidated() opens by consolidated metadata; open_group() takes use_consolidated")
    return open_group(store, path, consolidated=True, **options)


def load(store: Any, path: str | None = "", zarr_format: Literal[2, 3] | None = None, **options: Any) -> Any:
    """Read a whole array, or all arrays of a group, into memory.

    Parameters
    ----------
    store, path, zarr_format, **options
        As for `open`.

    Returns
    -------
    ndarray or dict
        The values of an array: a `cupy.ndarray` on a GPU, a `numpy.ndarray` on a CPU. For a group, a dict from the
        names of its arrays to their values.

    Raises
    ------
    NotFoundError, MetadataError, StoreError, DeviceError
        As for `open`.
    ChunkError
        A chunk is damaged.

    Examples
    --------
    >>> gpuzarr.save("numbers.zarr", np.arange(3))
    >>> gpuzarr.load("numbers.zarr")
    array([0, 1, 2])
    """
    node = open(store, path, zarr_format=zarr_format, **options)
    return node[...] if isinstance(node, Array) else {name: array[...] for name, array in node.arrays()}
