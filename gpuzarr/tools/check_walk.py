"""Walk through a hierarchy as it is stored, whatever is wrong with it: every node, and what lies beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gpuzarr.errors import GpuZarrError, StoreError
from gpuzarr.interrupts import within
from gpuzarr.metadata import files
from gpuzarr.metadata.files import FILES
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.opener import Opener
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import hidden
from gpuzarr.stores.ranges import MISSING
from gpuzarr.tools.check_keys import FOREIGN, stray_severity
from gpuzarr.tools.check_report import Finding

MAX_FOLDERS_WITHOUT_NODE = 1000  # that are looked into below a group, for nodes
STORE_ENDINGS = (".zarr", ".n5")  # of folders that are stores: they may lie in a folder that is no group
_OF_NO_NODE = frozenset((".zattrs", ".zmetadata"))  # documents that make no node
Note = Callable[[Finding], object]
Node = Array | Group


@dataclass(frozen=True)
class Visited:
    """A node and the names of the documents that lie at its path."""

    path: str
    node: Node
    documents: frozenset[str]


@dataclass(frozen=True)
class _Waiting:
    """A path to look at. `bare`: the folders above it that have no document, up to the nearest that has one; `parent`:
    the node above it. `is_quiet`: that is broken, and nobody knows whether chunks lie in it."""

    path: str
    parent: str = ""
    bare: tuple[str, ...] = ()
    is_quiet: bool = False


@dataclass
class _Walk:
    """A walk. `told`: folders of which it was said that they should be groups; `left`: how many more paths without a
    node are looked at; `strays`: objects that belong to no node, by the nodes above them."""

    opener: Opener
    note: Note
    told: set[str] = field(default_factory=set)
    left: int = MAX_FOLDERS_WITHOUT_NODE
    strays: dict[str, Finding] = field(default_factory=dict)

    def visit(self, here: _Waiting) -> tuple[Visited | None, list[_Waiting]]:
        """The node at a path, if there is one, and the paths to look at next."""
        documents = documents_at(self.opener.store, here.path)
        node = self._opened(here.path, documents)
        named = documents - _OF_NO_NODE
        if named or node is not None:
            self._tell_bare(here)
        elif documents:
            self._tell_alone(here.path, min(documents))
        found = None if node is None else Visited(here.path, node, documents)
        if isinstance(node, Array):
            return found, []
        is_node = bool(named) or node is not None
        if not is_node and not self._may_look():
            return None, []
        names = self._names(here, node is not None)
        if not names and not documents and not is_node and not here.is_quiet:
            self._tell_stray(here)
        parent, bare = (here.path, ()) if is_node else (here.parent, (*here.bare, here.path))
        is_quiet = node is None and (here.is_quiet or bool(named))
        below = [_Waiting(f"{here.path}/{name}".strip("/"), parent, bare, is_quiet) for name in reversed(names)]
        return found, below

    def _opened(self, path: str, documents: frozenset[str]) -> Node | None:
        try:
            return self.opener.found(path)
        except (GpuZarrError, RecursionError) as error:
            if isinstance(error, StoreError):
                self.note(Finding("error", "unreadable", path, str(error)))
                return None
            key = next((files.key(path, name) for name in FILES if name in documents), None)
            self.note(Finding("error", "metadata", path, str(error) or "it is nested too deeply", key))
            return None

    def _tell_alone(self, path: str, name: str) -> None:
        text = f"{name!r} is beside no document of an array or a group, so that nobody reads it"
        self.note(Finding("warning", "stray-object", path, text, files.key(path, name)))

    def _tell_bare(self, here: _Waiting) -> None:
        is_store = here.path.endswith(STORE_ENDINGS) and not any(documents_at(self.opener.store, p) for p in here.bare)
        for path in () if is_store else here.bare:
            if path not in self.told:
                self.told.add(path)
                text = f"there is no group here, although there are nodes below, such as {'/' + here.path!r}"
                self.note(Finding("warning", "missing-group", path, text))

    def _may_look(self) -> bool:
        self.left -= 1
        if self.left == -1:
            text = f"there are more than {MAX_FOLDERS_WITHOUT_NODE} names that are no nodes: the others are not checked"
            self.note(Finding("note", "not-checked", "", text))
        return self.left >= 0

    def _names(self, here: _Waiting, is_node: bool) -> list[str]:
        """The names below a path that may be nodes."""
        try:
            names = self.opener.store.names(here.path)
        except StoreError as error:
            if not is_node and error.errno is None:
                return []
            known = self._by_summary(here.path) if is_node else []
            self._tell_unlisted(here.path, bool(known), error)
            return known
        return [name for name in names if name not in FILES and name not in FOREIGN and not hidden(name)]

    def _tell_unlisted(self, path: str, is_known: bool, error: StoreError) -> None:
        what = "its members are those of its consolidated metadata" if is_known else "its members are not checked"
        text = f"it cannot be listed, so {what}: {error}"
        refused = error.errno is not None  # by the operating system; else the place lists nothing, as a web server
        self.note(Finding("error", "unreadable", path, text) if refused else Finding("note", "not-checked", path, text))

    def _by_summary(self, path: str) -> list[str]:
        """The names that the consolidated metadata of a group have."""
        with suppress(GpuZarrError):
            group = replace(self.opener, consolidated=None)(path)
            if isinstance(group, Group) and group.metadata.consolidated is not None:
                return group.metadata.consolidated.names()
        return []

    def _tell_stray(self, here: _Waiting) -> None:
        with suppress(StoreError):
            store = self.opener.store
            if within(store.open([here.path]), lambda objects: objects.lengths()[0]) != MISSING:
                known = self.strays.get(here.parent)
                severity = stray_severity(here.path.rpartition("/")[2])
                first = Finding(severity, "stray-object", here.parent, "an object that belongs to no node", here.path)
                worse = known is None or (known.severity == "note" and severity == "warning")
                count = 1 if known is None else known.count + 1
                self.strays[here.parent] = replace(first if worse or known is None else known, count=count)


def documents_at(store: Store, path: str) -> frozenset[str]:
    """The names of the documents at a path."""
    keys = [files.key(path, name) for name in FILES]
    with suppress(StoreError):
        lengths = within(store.open(keys), lambda objects: list(objects.lengths()))
        return frozenset(name for name, length in zip(FILES, lengths, strict=True) if length != MISSING)
    return frozenset(name for name in FILES if _is_there(store, files.key(path, name)))


def _is_there(store: Store, key: str) -> bool:
    with suppress(StoreError):
        return store.get(key) is not None
    return True  # what cannot be read is there


def walk(opener: Opener, top: str, note: Note) -> Iterator[Visited]:
    """All nodes at a path and below it, parents first; what is wrong is noted."""
    walked, waiting = _Walk(opener, note), [_Waiting(top, top)]
    while waiting:
        found, below = walked.visit(waiting.pop())
        if found is not None:
            yield found
        waiting += below
    for finding in walked.strays.values():
        note(finding)
