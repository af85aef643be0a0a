"""Find nodes of a store by their metadata, and make the objects that users hold."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gpuzarr.checks import at
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ExistsError, GpuZarrError, MetadataError, NotFoundError, StoreError
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, files, n5, summaries
from gpuzarr.metadata import v3 as metadata_v3
from gpuzarr.metadata.summaries import Summary
from gpuzarr.nodes.array import DEFAULT, Array
from gpuzarr.nodes.group import Group
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import recognise
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.hidden import hidden
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore

if TYPE_CHECKING:
    from gpuzarr.write.target import Writable

Mode = Literal["r", "r+", "a", "w", "w-"]
MODES = get_args(Mode)
V2_FILES = (".zarray", ".zgroup", ".zattrs", ".zmetadata")
MAX_HINT_NAMES = 64  # of a folder, that are looked at for an error message


@dataclass(frozen=True)
class Opener:
    """Opens the nodes of one store, all with the same options.

    `zarr_format` and `consolidated` are those of `gpuzarr.open`. `known` is consolidated metadata of a group, by which
    it and all below it are opened; it follows changes. `writable` is None for read-only access. `has_implied`: those of
    a group of N5, in which folders without a document are groups.
    """

    store: Store
    device: Device
    zarr_format: int | None = None
    consolidated: bool | None = None
    known: Summary | None = None
    writable: Writable | None = None
    options: Options = DEFAULT
    has_implied: bool = False

    def __post_init__(self) -> None:
        if self.known is not None:
            summaries.follow(self.store, self.known)

    def __reduce__(self) -> tuple[Any, ...]:
        return Opener, tuple(getattr(self, each.name) for each in fields(self))

    def __call__(self, path: str) -> Array | Group:
        """Open the node at `path`. NotFoundError if there is none, MetadataError if its metadata is wrong."""
        if (node := self.found(path)) is None:
            raise self.missing(path)
        return node

    def found(self, path: str) -> Array | Group | None:
        """Open the node at `path`, also one that only its members imply; None if there is none."""
        return self._implied(path) if (node := self.get(path)) is None else node

    def missing(self, path: str) -> NotFoundError:
        """Make the error for a path at which there is no node; it says what is there."""
        formats = f"Zarr v{self.zarr_format}" if self.zarr_format else "Zarr"
        return NotFoundError(f"no {formats} array or group at {path or '/'!r} in {self.store!r}{self._instead(path)}")

    def get(self, path: str) -> Array | Group | None:
        """Open the node at `path`; None if there is none. MetadataError if its metadata is wrong."""
        return None if (metadata := self._find(path)) is None else self._made(path, metadata)

    def _implied(self, path: str) -> Array | Group | None:
        """The group that a folder without a document is; for who writes it is none, but a place for one of Zarr."""
        may_be = self.zarr_format is None and self.known is None and self.writable is None
        return None if not may_be or (found := n5.find(self.store, path, True)) is None else self._made(path, found)

    def _made(self, path: str, metadata: Node) -> Array | Group:
        if isinstance(metadata, ArrayMetadata):
            array = Array(self.store, path, metadata, self.device, self.writable, self.options)
            with at(f"codecs of {'/' + path!r} in {self.store!r}"):
                array.layout.check()
            if self.writable is not None and why_unwritable(array) is not None:
                array.writable = None
            return array
        opener = self
        if metadata.has_implied_members != self.has_implied:
            writable = None if metadata.why_read_only else self.writable
            opener = replace(self, writable=writable, has_implied=metadata.has_implied_members)
        if metadata.consolidated is not None and self.known is None:
            opener = replace(self, known=Summary(path, metadata.zarr_format, metadata.consolidated))
        elif self.consolidated and self.known is None:
            raise MetadataError(f"group {'/' + path!r} of {self.store!r} has no consolidated metadata")
        return Group(self.store, path, metadata, opener, self.device)

    def check_free(self, path: str) -> None:
        """ExistsError if there is a node at `path`. MetadataError if its metadata is wrong."""
        if self.exists(path):
            raise ExistsError(f"there is a node at {path or '/'!r} in {self.store!r} already")

    def exists(self, path: str) -> bool:
        """True if there is a node at `path`. MetadataError if its metadata is wrong."""
        return self._find(path) is not None

    def _find(self, path: str) -> Node | None:
        return self._consolidated(path) if self.known is not None else self._stored(path)

    def _instead(self, path: str) -> str:
        """A hint for the error message: what a local folder holds (listing other stores may take long)."""
        if self.known is not None:
            return self._known_instead(path)
        if not isinstance(self.store, LocalStore):
            return "" if path else _at_root(self.store)
        here, names = path, self.store.names(path)
        if (found := recognise.of_names(names)) is not None:
            return f"; it is {_told(found, self.store, path)}"
        while here and not names:
            here = here.rpartition("/")[0]
            if not names and here and isinstance(self._find(here), ArrayMetadata):
                return f"; {here!r} is an array, and has no members: select from it by its own brackets"
            names = _some_members(self.store, here)
        if (file := _file_above(self.store.folder)) is not None:
            return f"; {file!r} is a file: open it, and give the path in it as `path`"
        if not names:
            return "; nothing is there" + ("" if path else " (mode 'w' makes a group, create_array() an array)")
        return f"; what is {'there' if here == path else f'at {here!r}' if here else 'in it'}: {_listed(names)}"

    def _known_instead(self, path: str) -> str:
        """What consolidated metadata have at the nearest path above."""
        here = path
        while here and (node := self._consolidated(here := here.rpartition("/")[0])) is None:
            continue
        if isinstance(node := self._consolidated(here), ArrayMetadata):
            return f"; {here or '/'!r} is an array, and has no members: select from it by its own brackets"
        names = [] if node is None or node.consolidated is None else node.consolidated.names()
        where = f"at {here!r}" if here else "in it"
        return f"; by its consolidated metadata (refresh() reads them again) there is {where}: {_listed(names)}"

    def _consolidated(self, path: str) -> Node | None:
        assert self.known is not None
        root, nodes = self.known.path, self.known.nodes
        below = path[len(root) :].strip("/") if path == root or path.startswith(f"{root}/" if root else "") else None
        node = nodes.get(below) if below is not None else None
        if node is None and below == "":  # the group itself has no place in its summary of v3
            node = self._stored(path)
        if not isinstance(node, GroupMetadata) or below is None:
            return node
        return replace(node, consolidated=nodes.below(below))

    def _stored(self, path: str) -> Node | None:
        if self.has_implied and (node := n5.find(self.store, path)) is not None:  # what is most likely, first
            return node
        if self.zarr_format in (None, 3) and (found := self._json(path, "zarr.json")) is not None:
            return metadata_v3.parse_node(*found, with_summary=self.consolidated is not False)
        node = self._stored_v2(path) if self.zarr_format in (None, 2) else None
        return n5.find(self.store, path, self.has_implied) if node is None and self.zarr_format is None else node

    def _stored_v2(self, path: str) -> Node | None:
        from gpuzarr.metadata import v2 as metadata_v2

        read, place = files.reader(self.store, path, V2_FILES), partial(files.place, self.store, path)
        if (document := read(".zarray")) is not None:
            return metadata_v2.parse_array(document, read(".zattrs") or {}, place(".zarray"))
        if (document := read(".zgroup")) is None:
            return None
        group = metadata_v2.parse_group(document, read(".zattrs") or {}, place(".zgroup"))
        if self.consolidated is not False and (summary := read(".zmetadata")) is not None:
            group = replace(group, consolidated=metadata_v2.parse_consolidated(summary, place(".zmetadata")))
        return group

    def _json(self, path: str, name: str) -> tuple[dict[str, Any], str] | None:
        """A document, and where it lies in the words of an error message."""
        document = files.read(self.store, path, name)
        return None if document is None else (document, files.place(self.store, path, name))


def _at_root(store: Store) -> str:
    """A hint about what a store is that has no node at its root: a single listing is asked for, if it can be had."""
    if isinstance(store, MappingStore) and not store.has_cheap_lengths:
        return ""
    try:
        names = store.names("")
    except GpuZarrError as error:
        unlisted = getattr(store, "concurrency", 1) > 1 and _unlisted(store)
        why = "" if "tells no names" in str(error) else f" ({error})"
        return f"; it is {_told(unlisted, store, '')}" if unlisted else why
    if (found := recognise.of_names(names)) is not None:
        return f"; it is {_told(found, store, '')}"
    return f"; what is in it: {_listed(names)}" if names else "; nothing is there"


def _unlisted(store: Store) -> recognise.Found | None:
    """What a place that lists no names is, by the objects that places of such kinds have."""
    with suppress(GpuZarrError), store.open(recognise.PROBES) as objects:
        there = [key for key, length in zip(recognise.PROBES, objects.lengths(), strict=True) if length >= 0]
        return recognise.of_names({part for key in there for part in (key.partition("/")[0],)})
    return None


def _told(found: recognise.Found, store: Store, path: str) -> str:
    """What something is, and what to do."""
    if found.way != "icechunk":
        return str(found)
    url = getattr(getattr(store, "client", None), "url", None) or getattr(store, "folder", "PATH")
    return f"{found}: open it as {f'{url}/{path}'.rstrip('/') + '|icechunk:'!r}, or give its Repository or a Session"


def _file_above(folder: str) -> str | None:
    """The file that lies where a folder should, at a path or above it."""
    while folder and not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder if os.path.isfile(folder) else None


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def _some_members(store: LocalStore, path: str) -> list[str]:
    """Names in a folder, sorted; of a large one only some, as programs may try many names."""
    try:
        with os.scandir(store.path(path)) as entries:
            names = [entry.name for entry in islice(entries, MAX_HINT_NAMES)]
    except (OSError, ValueError, StoreError):
        return []
    return sorted(name for name in names if name not in files.FILES and not hidden(name))


def why_unwritable(node: Array | Group) -> str | None:
    """Say why the documents of a node, and the first chunk of an array, cannot be written; None if nothing says so."""
    if node.metadata.why_read_only is not None:
        return node.metadata.why_read_only
    names = ["zarr.json"] if node.zarr_format == 3 else [".zattrs", ".zarray" if isinstance(node, Array) else ".zgroup"]
    if isinstance(node, Array):
        names += node.metadata.chunk_keys.encode(np.zeros((1, node.ndim), np.int64))
    return files.why_unwritable(node.store, node.path, names)


def opened(
    store: Any, zarr_format: int | None = None, config: Any = None, storage_options: Any = None
) -> Array | Group:
    """Open the node at the root of a store: for reading and writing, or for reading only where that is all it can."""
    from gpuzarr.write.target import Writable

    place = store_of(store, storage_options, "r+")
    opener = Opener(place, device_of("auto"), zarr_format, False, None, Writable.of(config))
    node = opener("")
    return node if why_unwritable(node) is None else replace(opener, writable=None)("")
