"""Find a node of a store by its metadata, and open it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, Literal

from gpuzarr.checks import at
from gpuzarr.creation import new_group
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ExistsError, MetadataError, NotFoundError
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, Nodes, load_json
from gpuzarr.metadata import v2 as metadata_v2
from gpuzarr.metadata import v3 as metadata_v3
from gpuzarr.nodes.array import DEFAULT, Array
from gpuzarr.nodes.create import clean, create_array
from gpuzarr.nodes.group import Group
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.resolve import store as store_of
from gpuzarr.write.strategy import Writable

Mode = Literal["r", "r+", "a", "w", "w-"]
NEW = signature(create_array).parameters.keys() - {
    "store",
    "name",
    "overwrite",
    "zarr_format",
    "device",
    "config",
    "storage_options",
}


def open(  # as zarr.open
    store: Any,
    path: str = "",
    *,
    mode: Mode = "r",
    device: str | Device = "auto",
    zarr_format: Literal[2, 3] | None = None,
    consolidated: bool | None = None,
    config: dict[str, Any] | None = None,
    memory_limit: int | str | None = None,
    validate: Literal["auto", "host"] = "auto",
    io: Literal["auto", "gds", "posix"] = "auto",
    storage_options: dict[str, Any] | None = None,
    **new: Any,
) -> Array | Group:
    """The array or group at `path` of `store`.

    `store`: a path, a file:// URL, or a mapping of keys to bytes.
    `device`: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1": where arrays are decoded and arrive.
    `zarr_format`: look only for that one. `consolidated`: True: need the group's consolidated metadata,
    False: do not use it, None: use it if it is there.
    `mode`: "r" to read, "r+" to read and write what is there; "a" makes a group where nothing is, "w" makes one in
    place of whatever is there, "w-" makes one where nothing may be. What is opened to be written is found by its own
    metadata, not by consolidated metadata, unless that is asked for.
    `new`: of what is made, not of what is there: with a `shape` or `data` it is an array, for which they are what
    `create_array` takes (`dtype`, by default "float64", `chunks`, ...); of a group, `attributes`.
    `config`: how arrays are written: {"write_empty_chunks": True} stores also chunks of nothing but the fill value;
    {"safe": False} takes no locks, where no two processes ever write parts of the same chunk or shard.
    `memory_limit`: bytes, or as "256MiB", that a read may hold beyond its result, in pinned and device memory together;
    default: 1 GiB, or a quarter of the free device memory if that is less. Where a single chunk needs more, chunks are
    read one by one.
    `validate`: "host": decode on the CPU what is not to be trusted (nvCOMP promises little for damaged streams); the
    values go to the device decoded.
    `io`: "posix" reads files into pinned memory, "gds" straight into device memory (GPUDirect Storage, by kvikio;
    DeviceError at the first read where it cannot be), "auto" takes GDS where it is there and the host needs no byte of
    the chunks.
    NotFoundError where there is no node, MetadataError where its metadata is wrong.
    """
    if mode not in ("r", "r+", "a", "w", "w-"):
        raise ValueError(f"mode must be 'r', 'r+', 'a', 'w' or 'w-', not {mode!r}")
    if unknown := sorted(new.keys() - NEW):
        raise TypeError(f"open() got an unexpected keyword argument {unknown[0]!r}")
    if new and mode in ("r", "r+") and not {"shape", "data"} & new.keys():
        raise ValueError(f"mode {mode!r} makes nothing of which {sorted(new)[0]!r} could be")
    writable = Writable.of(config) if mode != "r" else None
    if writable and consolidated is None:
        consolidated = False
    options = Options().changed(memory_limit=memory_limit, validate=validate, io=io)
    opener = Opener(
        store_of(store, storage_options), device_of(device), zarr_format, consolidated, None, writable, options
    )
    path = clean(path or "")
    if mode == "w-" and opener.exists(path):
        raise ExistsError(f"there is a node at {path or '/'!r} in {opener.store!r} already")
    if mode in ("w", "w-") or (mode == "a" and not opener.exists(path)):
        _make(opener, path, mode == "w", new)
    return opener(path)


def _make(opener: Opener, path: str, overwrite: bool, new: dict[str, Any]) -> None:
    zarr_format: Any = opener.zarr_format or 3
    if "shape" not in new and "data" not in new:
        if no_group := sorted(new.keys() - {"attributes"}):
            raise ValueError(f"{no_group[0]!r} is of a new array, which needs a shape")
        new_group(opener.store, path, zarr_format, new.get("attributes"), overwrite)
        return
    dtype = {} if "data" in new else {"dtype": "float64"}
    options = {"overwrite": overwrite, "zarr_format": zarr_format, "device": "cpu"}
    create_array(opener.store, name=path, config=asdict(opener.writable or Writable()), **options, **dtype | new)


def open_array(store: Any, path: str = "", *, mode: Mode = "r", **options: Any) -> Array:
    """As `open`, for an array only."""
    if mode in ("a", "w", "w-") and "shape" not in options and "data" not in options:
        if mode != "a":
            raise ValueError(f"mode {mode!r} makes a new array, which needs a shape")
        mode = "r+"
    node = open(store, path, mode=mode, **options)
    if not isinstance(node, Array):
        raise NotFoundError(f"{node!r} is a group, not an array")
    return node


def open_group(store: Any, path: str = "", *, use_consolidated: bool | None = None, **options: Any) -> Group:
    """As `open`, for a group only. `use_consolidated`: zarr-python's name of `consolidated`."""
    consolidated = options.pop("consolidated", use_consolidated)
    node = open(store, path, consolidated=consolidated, **options)
    if not isinstance(node, Group):
        raise NotFoundError(f"{node!r} is an array, not a group")
    return node


def open_consolidated(store: Any, path: str = "", **options: Any) -> Group:
    """As `open_group`, by consolidated metadata. MetadataError where there is none."""
    return open_group(store, path, consolidated=True, **options)


def load(store: Any, path: str = "", **options: Any) -> Any:
    """All the data of an array; of a group, a dict of its arrays by name."""
    node = open(store, path, **options)
    return node[...] if isinstance(node, Array) else {name: array[...] for name, array in node.arrays()}


@dataclass(frozen=True)
class Opener:
    """Opens the nodes of one store, all in the same way. `known`: consolidated metadata, by path."""

    store: Store
    device: Device
    zarr_format: int | None = None
    consolidated: bool | None = None
    known: tuple[str, Mapping[str, Node]] | None = None  # the path of the group that has it, and the nodes below
    writable: Writable | None = None
    options: Options = DEFAULT

    def __call__(self, path: str) -> Array | Group:
        metadata = self._find(path)
        if isinstance(metadata, ArrayMetadata):
            array = Array(self.store, path, metadata, self.device, self.writable, self.options)
            with at(f"codecs of {'/' + path!r} in {self.store!r}"):
                array.layout.check()
            return array
        opener = self
        if metadata.consolidated is not None:
            opener = replace(self, known=(path, metadata.consolidated))
        elif self.consolidated and self.known is None:
            raise MetadataError(f"group {'/' + path!r} of {self.store!r} has no consolidated metadata")
        return Group(self.store, path, metadata, opener, self.device)

    def exists(self, path: str) -> bool:
        try:
            return self._find(path) is not None
        except NotFoundError:
            return False

    def _find(self, path: str) -> Node:
        found = self._consolidated(path) if self.known is not None else self._stored(path)
        if found is None:
            formats = f"Zarr v{self.zarr_format}" if self.zarr_format else "Zarr"
            raise NotFoundError(
                f"no {formats} array or group at {path or '/'!r} in {self.store!r}{self._instead(path)}"
            )
        return found

    def _instead(self, path: str) -> str:
        """What a folder has where no node is; of other stores to list all keys may take long."""
        if not isinstance(self.store, LocalStore):
            return ""
        names = self.store.names(path)
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        return f"; what is there: {shown}" if names else "; nothing is there (mode 'a' or 'w' makes a group)"

    def _consolidated(self, path: str) -> Node | None:
        assert self.known is not None
        root, nodes = self.known
        below = path[len(root) :].strip("/") if path == root or path.startswith(f"{root}/" if root else "") else None
        node = nodes.get(below) if below is not None else None
        if not isinstance(node, GroupMetadata) or below is None:
            return node
        inside = [name for name in nodes if name.startswith(f"{below}/")]
        inner = Nodes({name[len(below) + 1 :]: partial(nodes.__getitem__, name) for name in inside})
        return replace(node, consolidated=inner)

    def _stored(self, path: str) -> Node | None:
        if self.zarr_format in (None, 3) and (found := self._json(path, "zarr.json")) is not None:
            node = metadata_v3.parse_node(*found)
            return self._without_consolidated(node)
        return self._stored_v2(path) if self.zarr_format in (None, 2) else None

    def _stored_v2(self, path: str) -> Node | None:
        if (found := self._json(path, ".zarray")) is not None:
            return metadata_v2.parse_array(found[0], self._attributes(path), found[1])
        if (found := self._json(path, ".zgroup")) is None:
            return None
        group = metadata_v2.parse_group(found[0], self._attributes(path), found[1])
        if self.consolidated is not False and (summary := self._json(path, ".zmetadata")) is not None:
            group = replace(group, consolidated=metadata_v2.parse_consolidated(*summary))
        return group

    def _without_consolidated(self, node: Node) -> Node:
        ignored = self.consolidated is False and isinstance(node, GroupMetadata)
        return replace(node, consolidated=None) if ignored and isinstance(node, GroupMetadata) else node

    def _attributes(self, path: str) -> dict[str, Any]:
        found = self._json(path, ".zattrs")
        return found[0] if found else {}

    def _json(self, path: str, name: str) -> tuple[dict[str, Any], str] | None:
        key = f"{path}/{name}" if path else name
        data = self.store.get(key)
        where = f"{key!r} of {self.store!r}"
        return None if data is None else (load_json(data, where), where)
