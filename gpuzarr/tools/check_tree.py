"""Check an array or a whole hierarchy: metadata, keys, sizes, indexes of shards, checksums, every chunk."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any, Literal

from gpuzarr.checks import flag, one_of
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, MetadataError
from gpuzarr.metadata import files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.nodes.opener import Opener
from gpuzarr.progress import reporting
from gpuzarr.read.memory import parse_bytes
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.finding.resolve import wanted_format
from gpuzarr.stores.local import leftovers
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.tools.check_array import Wanted, check_array
from gpuzarr.tools.check_metadata import check_documents, check_summary
from gpuzarr.tools.check_ome import check_ome
from gpuzarr.tools.check_report import Finding, Notes, Report
from gpuzarr.tools.check_walk import walk
from gpuzarr.tools.repairs import Repairing

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30
MAX_TOTAL = 1 << 62  # of a progress bar


def check(
    store: Any,
    path: str = "",
    *,
    device: str | Device = "auto",
    fast: bool = False,
    census: bool = False,
    repair: Literal["safe", "delete-damaged"] | None = None,
    dry_run: bool = False,
    memory_limit: int | str = DEFAULT_MEMORY_LIMIT_BYTES,
    progress: bool | Callable[[int, int], Any] = False,
    on_finding: Callable[[Finding], Any] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Report:
    """Check an array, or a group with all nodes below it: read every document, index and chunk.

    It checks that

    - metadata documents follow the specifications; none of several versions of Zarr lie beside each other; groups are
      there above all nodes; consolidated metadata say what the documents say; what OME-Zarr metadata name is there;
    - indexes of shards can be decoded, and name places within the shard that do not overlap;
    - every chunk can be decoded: by that checksums and sizes are compared;
    - keys of objects are those of chunks in the grid of an array;
    - processes that were killed have left nothing (in local folders).

    Parameters
    ----------
    store, path, device, storage_options
        As for `gpuzarr.open`; `store` may also be an open array or group. Chunks are
        decoded by a GPU where there is one; what it refuses, the CPU decides.
    fast
        True: chunks are not read, only what the names and sizes of objects and the indexes of shards tell.
    census
        True: chunks are also counted along each axis (`ArrayCensus.axes`).
    repair
        "safe": what killed processes have left is deleted (or put back where it was to be replaced), and consolidated
        metadata that are out of date are made anew. "delete-damaged": also damaged chunks are deleted, so that they
        read as the fill value; and shards whose index is damaged. Nothing else is changed.
    dry_run
        True: nothing is repaired; `Report.repairs` says what would be.
    memory_limit
        Bytes (an int, or a text such as "1GiB") that decoded chunks may take. Arrays whose chunks have more are not
        decoded, and a note says so.
    progress
        True: a progress bar on stderr; a function is called as progress(objects done, all objects).
    on_finding
        A function that is called with each finding at once.

    Returns
    -------
    Report

    Raises
    ------
    NotFoundError
        There is nothing of Zarr at this path.
    ArgumentError, StoreError, DeviceError
        As for `gpuzarr.open`.

    Examples
    --------
    >>> store = {}
    >>> a = gpuzarr.array(np.arange(6), chunks=3, store=store)
    >>> bool(gpuzarr.tools.check(store))
    False
    >>> store["c/1"] = store["c/1"][:-2]
    >>> for finding in gpuzarr.tools.check(store).findings:
    ...     print(finding.kind, finding.chunk, finding.key, finding.codec)
    damaged-chunk (1,) c/1 zstd
    """
    repair = None if repair is None else one_of(repair, "repair", "safe", "delete-damaged")
    if flag(dry_run, "dry_run") and repair is None:
        raise ArgumentError("dry_run=True needs repair='safe' or 'delete-damaged'")
    wanted = Wanted(parse_bytes(memory_limit), flag(fast, "fast"), flag(census, "census"))
    top = files.clean(path)
    store = store.store_path if isinstance(store, Array | Group) else store
    found = store_of(store, storage_options, "r" if repair is None or dry_run else "r+")
    opener = Opener(found, device_of(device), wanted_format(store, None), consolidated=False)
    report = Report(device=None if wanted.fast else opener.device.name)
    notes = Notes(report, on_finding)
    with suppress(MetadataError, RecursionError):  # what can be opened, but is wrong, is checked
        opener.found(top)
    arrays = _check_nodes(opener, top, notes)
    if not arrays and not report.groups and not any(f.kind == "metadata" for f in report.findings):
        raise opener.missing(top)
    total = sum(min(prod(array.layout.grid(0)), MAX_TOTAL) for array in arrays)
    with reporting(progress, total, "check", "object") as step:
        for array in arrays:
            report.arrays.append(_checked(array, wanted, notes, step))
    if isinstance(found, LocalStore):
        _check_partial(found, top, notes)
    if repair is not None:
        repairing = Repairing(opener, repair, dry_run, wanted.limit)
        report.repairs += [done for finding in report.findings if (done := repairing(finding)) is not None]
    return report


def _check_nodes(opener: Opener, top: str, notes: Notes) -> list[Array]:
    """Check the documents of all nodes, and return the arrays."""
    arrays: list[Array] = []
    for visited in walk(opener, top, notes):
        check_documents(opener.store, visited, notes)
        if isinstance(visited.node, Array):
            arrays.append(visited.node)
        else:
            notes.report.groups += 1
            check_summary(opener.store, visited.path, notes)
            check_ome(visited.node, notes)
    return arrays


def _checked(array: Array, wanted: Wanted, notes: Notes, step: Callable[[int], object]) -> Any:
    """Check an array. What is missing of the grid counts as done at the end."""
    done = 0

    def count(objects: int) -> None:
        nonlocal done
        done += objects
        step(objects)

    census = check_array(array, wanted, notes, count)
    step(min(prod(array.layout.grid(0)), MAX_TOTAL) - done)
    return census


def _check_partial(store: LocalStore, top: str, notes: Notes) -> None:
    """Note what killed processes have left."""
    for folder, folders, _ in os.walk(store.path(top)):
        with suppress(OSError), os.scandir(folder) as entries:  # a folder that cannot be listed was told of before
            left = sorted(entry.name for entry in entries if leftovers.is_left(entry))
            folders[:] = [name for name in folders if name not in left]
            path = folder[len(store.folder) + 1 :]
            for name in left:
                text = "a process that was killed has left this behind"
                notes(Finding("warning", "partial-file", path, text, files.key(path, name), repair="remove-partial"))
