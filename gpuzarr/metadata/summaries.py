"""Consolidated metadata: one document of a group that describes all nodes below it, called a summary here.

It is `consolidated_metadata` in `zarr.json`; in Zarr v2 it is the document `.zmetadata`, which has the group itself,
too. Whoever makes, changes or deletes a node calls `changed` when that is done: it brings the summaries of all groups
above the node up to date, each under the lock of its group, with what is stored by then. So of changes at the same
time, by threads or processes, none is lost: each is followed by an update that reads what it has stored.

A store may be a part of another, such as the folder of a group: groups above it are found there.

Groups that were opened by a summary follow it: they show what this process stores, through whatever object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from gpuzarr.errors import GpuZarrError, GpuZarrWarning, MetadataError, NotFoundError, UnsupportedError, warn
from gpuzarr.interrupts import ensured, within
from gpuzarr.metadata import ArrayMetadata, Known, Node, Nodes, files, load_json, v2, v3
from gpuzarr.metadata.files import Document
from gpuzarr.stores import versioned
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import is_hidden
from gpuzarr.stores.identity import Identity, identity, lies_in, widest
from gpuzarr.stores.tries import tries

T = TypeVar("T")
FIELD = "consolidated_metadata"
MAX_INDENTED_NODES = 100  # in a document for people to read
Documents = dict[str, Document]  # of a node, by their names


@dataclass(frozen=True)
class Summary:
    """The nodes that the summary of the group at `path` has, by their paths below it."""

    path: str
    zarr_format: int
    nodes: Nodes


class Followed(NamedTuple):
    """The group whose summary is followed."""

    place: Identity
    zarr_format: int
    store: Store
    path: str


_FOLLOWERS: WeakKeyDictionary[Known, Followed] = WeakKeyDictionary()


def follow(store: Store, summary: Summary) -> None:
    """From now on have the nodes show what this process stores in their summary, for as long as anybody uses them."""
    place = identity(store, summary.path)
    _FOLLOWERS[summary.nodes.known] = Followed(place, summary.zarr_format, store, summary.path)


def make(store: Store, path: str, zarr_format: int) -> None:
    """Write the summary of a group. MetadataError for a node below it that is wrong."""
    name = _name(zarr_format)

    def write(_: object) -> None:
        for _ in tries(partial(files.place, store, path, name)):
            data, version = versioned.read(store, files.key(path, name))
            document = None
            with suppress(*([MetadataError] if zarr_format == 2 else [])):  # a broken `.zmetadata` is replaced
                document = None if data is None else load_json(data, files.place(store, path, name))
            if document is None and zarr_format == 3:
                raise NotFoundError(f"{files.key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
            nodes = dict(_walk(store, path, "", zarr_format, is_strict=True))
            if _is_written(store, path, name, _joined(document or {}, nodes, zarr_format), len(nodes), version):
                return

    within(store.locked([files.lock(path)]), write)


def changed(store: Store, path: str, *formats: int, is_deep: bool = False) -> None:
    """Bring all summaries above a node up to date: it was made, changed, moved or deleted.

    `formats`: the versions of Zarr that it has or had, if that is known. `is_deep`: what is below it may have changed,
    too. A document of each group above is read for each version; where no group has a summary, that is all. Nodes at
    hidden paths, which are being made, are in no summary.
    """
    if is_hidden(path):
        return
    store, path = widest(store, path)
    for zarr_format in formats or (2, 3):
        for above in _with_summary(store, [path], zarr_format):
            _bring_up_to_date(store, above, path, zarr_format, is_deep and above != path)
    if is_deep:
        _renew(store, [path])


def noted(work: Callable[[], T], note: Callable[[], None]) -> T:
    """Return work(), which changes nodes, after note(), which calls `changed`.

    It is also called where the work failed or was interrupted half-way, and again where it was interrupted itself.
    """
    done: list[bool] = []

    def both() -> T:
        result = work()
        note()
        done.append(True)
        return result

    def again() -> None:
        if not done:
            with suppress(GpuZarrError):  # what went wrong first is raised
                note()
                done.append(True)

    return ensured(both, again)


def changed_all(store: Store, paths: Sequence[str]) -> None:
    """Do as `changed` with `is_deep` for many nodes, with one update of each summary, which looks at all nodes."""
    if not paths:
        return
    places = [widest(store, path) for path in paths]
    store, paths = places[0][0], [path for _, path in places]
    for zarr_format in (2, 3):
        for above in _with_summary(store, paths, zarr_format):
            _bring_up_to_date(store, above, None, zarr_format, True)
    _renew(store, paths)


def outdated(store: Store, path: str, zarr_format: int) -> list[str] | None:
    """The paths below a group of nodes that its summary has otherwise than their documents say; None: it has none.

    MetadataError if the document that has the summary is none of JSON.
    """
    before = _split(files.read(store, path, _name(zarr_format)) or {}, zarr_format)
    if before is None:
        return None
    after = dict(_walk(store, path, "", zarr_format))
    return [each for each in sorted({*before, *after}) if _said(before.get(each)) != _said(after.get(each))]


def _said(documents: Documents | None) -> Any:
    """What documents of a node say: without members that say nothing, which some write, and without summaries."""
    if documents is None:
        return None
    found: Documents = {}
    for name, document in documents.items():
        members = document.items() if isinstance(document, dict) else [("", document)]
        said = {key: value for key, value in members if key != FIELD and value not in ({}, [], None)}
        found |= {name: said} if said or name != ".zattrs" else {}
    return found


def _renew(store: Store, paths: Sequence[str]) -> None:
    """Have who was opened by a summary of a node at one of the paths, or below it, show what is stored there by now."""
    found = _all_followers()
    tops = [identity(store, path) for path in paths] if found else []
    for known, (place, zarr_format, own, path) in found:
        if any(lies_in(place, top) for top in tops):
            name = _name(zarr_format)
            with suppress(MetadataError):
                document = files.read(own, path, name) or {}
                if _split(document, zarr_format) is None:
                    document = _joined({}, dict(_walk(own, path, "", zarr_format)), zarr_format)
                known.now = _parsed(document, zarr_format, files.place(own, path, name)).known.now


def _bring_up_to_date(store: Store, above: str, path: str | None, zarr_format: int, is_deep: bool) -> None:
    """Do as `_update` under the lock of the group; warn where nothing can be written, as in a folder of others."""
    update = partial(_update, store, above, path, zarr_format, is_deep)

    def written(_: object) -> None:
        for _ in tries(partial(files.place, store, above, _name(zarr_format))):
            if update(None):
                return

    if (reason := files.why_unwritable(store, above, [_name(zarr_format)])) is None:
        within(store.locked([files.lock(above)]), written)
    else:
        update(reason)


def _with_summary(store: Store, paths: Sequence[str], zarr_format: int) -> list[str]:
    """The groups above nodes that have a summary, or had one that is followed."""
    parts = [path.split("/") if path else [] for path in paths]
    own = zarr_format == 2  # a summary of v2 has the group itself, too
    groups = {"/".join(each[:i]): None for each in parts for i in range(len(each) + own)}
    return [each for each in groups if _has_summary(store, each, zarr_format) or _followers(store, each, zarr_format)]


def _update(
    store: Store, above: str, path: str | None, zarr_format: int, is_deep: bool, why_unwritable: str | None
) -> bool:
    """Bring the summary of the group `above` up to date, and what this process has of it in memory.

    `path`: where something has changed; None for anywhere. False, with nothing done, if another process has replaced
    the summary meanwhile.
    """
    name = _name(zarr_format)
    try:
        found, version = files.current(store, above, name)
    except MetadataError:  # a broken one says nothing that could be wrong
        return True
    document = found or {}
    before, followers = _split(document, zarr_format), _followers(store, above, zarr_format)
    if before is not None:
        if path is None:
            after = dict(_walk(store, above, "", zarr_format))
        else:
            after = _edited(before, store, above, path[len(above) :].strip("/"), zarr_format, is_deep)
        if after != before:
            document = _joined(document, after, zarr_format)
            if why_unwritable is None:
                if not _is_written(store, above, name, document, len(after), version):
                    return False
            else:
                text = f"{files.place(store, above, name)} has consolidated metadata that are out of date now"
                warn(f"{text}, as it cannot be written: {why_unwritable}", GpuZarrWarning)
    elif followers:  # it was deleted: who was opened by it shows what is there
        document = _joined({}, dict(_walk(store, above, "", zarr_format)), zarr_format)
    for known in followers:
        with suppress(MetadataError):
            known.now = _parsed(document, zarr_format, files.place(store, above, name)).known.now
    return True


def _edited(
    before: dict[str, Documents], store: Store, above: str, path: str, zarr_format: int, is_deep: bool
) -> dict[str, Documents]:
    """The nodes of a summary, with that at `path`, and with `is_deep` all below it, as they are stored now."""
    fresh = dict(_walk(store, above, path, zarr_format, is_deep))
    if is_deep or path not in fresh:
        kept = {each: found for each, found in before.items() if each != path and not each.startswith(f"{path}/")}
    else:
        kept = before
    parts = path.split("/")
    for between in ("/".join(parts[:i]) for i in range(1, len(parts))):
        if fresh and between not in before:  # a group that was made for the node
            fresh |= dict(_walk(store, above, between, zarr_format, is_deep=False))
    after = {**kept, **fresh}
    return {each: after[each] for each in sorted(after, key=_order)}  # zarr-python needs the nodes of a group together


def _order(path: str) -> str:
    """The order of paths part by part."""
    return path.replace("/", "\0")


def _walk(
    store: Store, root: str, path: str, zarr_format: int, is_deep: bool = True, is_strict: bool = False
) -> Iterator[tuple[str, Documents]]:
    """The node at a path below `root`, and all below it, by their paths; none where there is no node.

    The root itself has no place in a summary of v3. A wrong node is left out, or with `is_strict` a MetadataError.
    """
    names = None
    waiting = [path]
    while waiting:
        path = waiting.pop()
        at = f"{root}/{path}" if root and path else root or path
        try:
            documents, node = _found(store, at, zarr_format)
        except MetadataError:
            if is_strict:
                raise
            continue
        if documents and (path or zarr_format == 2):
            yield path, documents
        if is_deep and documents and not isinstance(node, ArrayMetadata):
            if names is None:
                listing = getattr(store, "listing", None)
                names = store.names if listing is None else listing(at)
            below = [name for name in names(at) if files.may_be_member(name, zarr_format)]
            waiting += [f"{path}/{name}" if path else name for name in reversed(below)]


def _found(store: Store, path: str, zarr_format: int) -> tuple[Documents, Node | None]:
    """The documents of a node, without a summary of its own, and what they say; no documents where no node is.

    What is not supported here may be so elsewhere: None for that.
    """
    names = ("zarr.json",) if zarr_format == 3 else (".zarray", ".zgroup", ".zattrs")
    read = {name: files.read(store, path, name) for name in names}
    found = {name: document for name, document in read.items() if document is not None}
    if not found.keys() - {".zattrs"}:
        return {}, None
    if ".zarray" in found:
        found.pop(".zgroup", None)
    found = {name: {k: v for k, v in document.items() if k != FIELD} for name, document in found.items()}
    try:
        return found, _node(found, files.place(store, path, next(iter(found))))
    except UnsupportedError:
        return found, None


def _node(found: Documents, where: str) -> Node:
    if "zarr.json" in found:
        return v3.parse_node(found["zarr.json"], where)
    parse, name = (v2.parse_array, ".zarray") if ".zarray" in found else (v2.parse_group, ".zgroup")
    return parse(found[name], found.get(".zattrs", {}), where)


def _name(zarr_format: int) -> str:
    """The name of the document that has the summary."""
    return "zarr.json" if zarr_format == 3 else ".zmetadata"


def _is_written(store: Store, path: str, name: str, document: Document, count: int, version: Any) -> bool:
    """Write a document with a summary of so many nodes, unless it was changed since it was read."""
    encode = files.dumps if count <= MAX_INDENTED_NODES else files.dumps_large
    return versioned.write(store, files.key(path, name), encode(document), version)


def _has_summary(store: Store, path: str, zarr_format: int) -> bool:
    data = store.get(files.key(path, _name(zarr_format)))
    return data is not None and (zarr_format == 2 or FIELD.encode() in data)


def _split(document: Document, zarr_format: int) -> dict[str, Documents] | None:
    """The documents of each node of a summary; None if there is none, or one of another kind."""
    summary = document if zarr_format == 2 else document.get(FIELD)
    if not isinstance(summary, dict) or (zarr_format == 3 and summary.get("kind") != "inline"):
        return None
    if not isinstance(members := summary.get("metadata"), dict):
        return None
    nodes: dict[str, Documents] = {}
    for key, member in members.items():
        path, name = (key, "zarr.json") if zarr_format == 3 else (key.rpartition("/")[0], key.rpartition("/")[2])
        nodes.setdefault(path.strip("/"), {})[name] = member
    return nodes


def _joined(document: Document, nodes: dict[str, Documents], zarr_format: int) -> Document:
    """A document with a summary of these nodes."""
    if zarr_format == 3:
        members = {path: documents["zarr.json"] for path, documents in nodes.items()}
        return {**document, FIELD: {"kind": "inline", "must_understand": False, "metadata": members}}
    named = {files.key(path, name): each for path, documents in nodes.items() for name, each in documents.items()}
    return {**document, "zarr_consolidated_format": 1, "metadata": named}


def _parsed(document: Document, zarr_format: int, where: str) -> Nodes:
    if zarr_format == 2:
        return v2.parse_consolidated(document, where)
    group = v3.parse_group({"zarr_format": 3, "node_type": "group", FIELD: document[FIELD]}, where)
    return group.consolidated or Nodes({}, v3.parse_member, where)


def _followers(store: Store, path: str, zarr_format: int) -> list[Known]:
    """The nodes in memory that follow the summary of a group."""
    found = _all_followers()
    place = identity(store, path) if found else None
    return [known for known, of in found if (of.place, of.zarr_format) == (place, zarr_format)]


def _all_followers() -> list[tuple[Known, Followed]]:
    while True:
        try:
            return list(_FOLLOWERS.items())
        except RuntimeError:  # another thread has opened a group meanwhile
            continue
