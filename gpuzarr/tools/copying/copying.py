"""Copy an array, or a group with all below it, to any store, and change how it is stored."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal

from gpuzarr.api.opening import open
from gpuzarr.api.saving import consolidate_metadata
from gpuzarr.checks import flag, number, one_of, shown
from gpuzarr.creation import check_above, contains, new_nodes
from gpuzarr.devices.contract import Device
from gpuzarr.errors import ArgumentError, GpuZarrError, NotFoundError, StoreError
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, files
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.group import Group
from gpuzarr.progress import reporting
from gpuzarr.read.memory import parse_bytes
from gpuzarr.stores.contract import Store, concurrency
from gpuzarr.stores.finding.resolve import store as store_of
from gpuzarr.stores.handles import complete
from gpuzarr.stores.keys import joined
from gpuzarr.tools.copying.changes import KEEP, ON_ERROR, Changes
from gpuzarr.tools.copying.destination import Destination
from gpuzarr.tools.copying.plan import ArrayPlan, Plan, of_device, plan_of
from gpuzarr.tools.copying.report import CopyReport, described, nbytes_of
from gpuzarr.tools.copying.values import Values, equal_bits, first_difference
from gpuzarr.tools.copying.work import Done, Job
from gpuzarr.write.journal import Journal
from gpuzarr.write.target import Writable

WORKERS = 1  # blocks at once; each is decoded and encoded on all cores, and more were not faster
REMOTE_WORKERS = 4  # where each request takes long


def copy(
    source: Any,
    dest: Any,
    *,
    path: str = "",
    chunks: Any = KEEP,
    shards: Any = KEEP,
    compressors: Any = KEEP,
    dtype: Any = None,
    rounding: str = "nearest-even",
    out_of_range: str = "error",
    fill_value: Any = KEEP,
    selection: Any = None,
    zarr_format: Literal[2, 3] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    on_error: Literal["raise", "fill", "skip"] = "raise",
    workers: int | None = None,
    memory_limit: int | str = "1GiB",
    device: str | Device = "auto",
    progress: bool | Callable[[int, int], Any] = False,
    storage_options: dict[str, Any] | None = None,
    dest_storage_options: dict[str, Any] | None = None,
) -> CopyReport:
    """Copy an array, or a group with all below it, to any store, and change how it is stored.

    Attributes, names of axes, fill values, codecs, order and consolidated metadata stay what they are, as far as
    nothing else is asked for. Where an array's chunks stay the same, their bytes are copied without being decoded.
    Between the versions of Zarr, the names of axes become the attribute `_ARRAY_DIMENSIONS` of xarray, and back.

    The copy is there when it is complete. One that was interrupted is no node yet; with `resume` it is continued.

    Parameters
    ----------
    source
        An Array or a Group, or what `open` takes: also N5, and HDF5 and NetCDF files.
    dest, path
        Where the copy comes to lie: a store, as for `open`, and a path in it.
    chunks, shards, compressors, fill_value
        As for `create_array`, for each array that is copied; "keep" (default): those of the array. `shards=None` and
        `compressors=None` are none. Chunks and shards may be a dict of sizes by the names of axes, for arrays that have
        these axes. A fill value changes no element that was written, nor what is missing in the source.
    dtype, rounding, out_of_range
        Numbers (and bools) are cast to this dtype by value, as the Zarr codec `cast_value` does it. To integers, floats
        are rounded: "nearest-even" (default), "nearest-away", "towards-zero", "towards-positive" or "towards-negative".
        What the dtype does not hold is an error by default; "clamp" takes the nearest value that it holds, "wrap" the
        lowest bits. NaN is no integer. To floats, numbers are rounded to nearest, even.
    selection
        Slices and ints, as between the brackets of `a[...]`, for each array that is copied; or a dict of them by the
        names of axes, for arrays that have these axes. An int drops an axis.
    zarr_format
        2 or 3; default: that of the source.
    include, exclude
        Patterns of paths below a group, such as "images/*" (`*` is any text, also with slashes). If `include` is given,
        only nodes that match are copied, with what is below them and the groups above them. What matches `exclude` is
        not copied, with what is below it.
    overwrite
        True: the node that is there is deleted when all that was asked for was checked, before anything is copied.
    resume
        True: a copy that was interrupted is continued; where nothing is, it begins. Objects (shards; chunks, where
        there are none) that are done are not copied again. It is an error if the metadata of the source, or the
        options, are others than before; that chunks of the source were changed meanwhile is not noticed.
    dry_run
        True: nothing is written; the report says what would be.
    verify
        True: the copy is read, and compared bit by bit with the source, cast in the same way.
    on_error
        "raise" (default): a chunk of the source that cannot be decoded is an error that names it. "fill": it is the
        fill value in the copy, and the report lists it; then all chunks are decoded. "skip": so is a chunk that cannot
        be read (as where a disk is damaged, or permission is denied), and nodes that cannot be opened are left out.
    workers
        How many blocks are copied at once; each of them is decoded and encoded on all cores. Default: 1, and 4 if a
        store is remote.
    memory_limit
        Bytes (an int, or a text such as "1GiB") that all workers may take together; but always a whole chunk.
    device
        Where chunks are decoded and encoded, as for `open`. What is cast is so on the CPU.
    progress
        True: a progress bar is shown. A function is called as progress(elements done, all elements).
    storage_options, dest_storage_options
        Options for what `source` and `dest` name, if they are URLs, as for `open`.

    Returns
    -------
    CopyReport

    Raises
    ------
    NotFoundError
        There is no node at `source`.
    ExistsError
        There is something at `dest`, or no copy that could be continued.
    ArgumentError
        An argument is wrong; or `dest` lies in `source`, or the other way round.
    SelectionError
        The selection does not fit an array.
    MetadataError
        An array cannot be expressed in the other version of Zarr, or cannot have these chunks, shards or codecs
        (UnsupportedError where Zarr v2 or v3 lacks what it needs). The error names the array.
    ValueKindError
        A value cannot be cast. The error names the array and the region of the copy.
    ChunkError
        A chunk of the source is damaged.
    StoreError
        A store could not be read or written; or `verify` finds a difference.

    Examples
    --------
    >>> from gpuzarr.tools import copy
    >>> gpuzarr.save_group("old.zarr", zarr_format=2, image=np.arange(12, dtype="i4").reshape(3, 4))
    >>> report = copy("old.zarr", "new.zarr", zarr_format=3, chunks=(2, 2), dtype="uint8", verify=True)
    >>> [node.path for node in report.nodes], report.verified
    (['/', '/image'], True)
    >>> a = gpuzarr.open("new.zarr")["image"]
    >>> a.zarr_format, a.chunks, a[1]
    (3, (2, 2), array([4, 5, 6, 7], dtype=uint8))
    """
    begin = time.perf_counter()
    changes = Changes(chunks, shards, compressors, dtype, rounding, out_of_range, fill_value, selection, zarr_format)
    one_of(on_error, "on_error", *ON_ERROR)
    flags = {"overwrite": overwrite, "resume": resume, "dry_run": dry_run, "verify": verify}
    wanted = {name: flag(value, name) for name, value in flags.items()}
    if wanted["overwrite"] and wanted["resume"]:
        raise ArgumentError("overwrite and resume are one or the other: begin again, or continue")
    memory = parse_bytes(memory_limit)
    node = _opened(source, storage_options)
    chosen = _patterns(include, "include"), _patterns(exclude, "exclude")
    plan = plan_of(node, changes, *chosen, device, on_error)
    total = sum(nbytes_of(one.metadata) for one in plan.arrays)
    report = CopyReport(described(plan), total, left_out=plan.left_out, dry_run=wanted["dry_run"])
    place = _destination(dest, path, dest_storage_options, wanted["dry_run"])
    _check_apart(node, place)
    if wanted["dry_run"]:
        _check_free(place, wanted)
        return replace(report, seconds=time.perf_counter() - begin)
    run = _Run(plan, place, _workers(workers, node.store, place.store), memory, device, on_error)
    run.begin(wanted["overwrite"], wanted["resume"])
    try:
        run.copy_arrays(progress)
        run.make_nodes()
    except BaseException:
        place.discard()
        raise
    if wanted["verify"]:
        run.verify(progress)
    run.end()
    return replace(
        report,
        objects_done=run.copied,
        objects_skipped=run.skipped,
        damaged=tuple(dict.fromkeys(run.damaged)),
        verified=wanted["verify"],
        seconds=time.perf_counter() - begin,
    )


class _Run:
    """A copy that is being made."""

    def __init__(
        self, plan: Plan, place: Destination, workers: int, memory: int, device: str | Device, on_error: str
    ) -> None:
        self.plan, self.place, self.workers, self.device = plan, place, workers, device
        self.memory = max(memory // workers, 1)
        self.copied = self.skipped = 0
        self.damaged: list[str] = []
        self._on_error, self._lock = on_error, threading.Lock()
        self._arrays = [one.path for one in plan.arrays]

    @property
    def elements(self) -> int:
        """The elements of all arrays."""
        return sum(one.metadata.size for one in self.plan.arrays)

    def begin(self, overwrite: bool, resume: bool) -> None:
        """Note the copy at its place, where nodes of its version of Zarr can be made."""
        check_above(self.place.store, self.place.path, self.plan.nodes[""].zarr_format)
        self.place.begin(self.plan.fingerprint, self._arrays, overwrite, resume)

    def copy_arrays(self, progress: Any) -> None:
        """Copy the chunks of all arrays."""
        with reporting(progress, self.elements, "copy", "element") as advance:
            lock = threading.Lock()

            def told(count: int) -> None:
                with lock:
                    advance(count)

            for one in self.plan.arrays:
                self._copy(one, told)

    def _copy(self, one: ArrayPlan, advance: Callable[[int], None]) -> None:
        device = "cpu" if one.cast else self.device
        target = self._target(one, device)
        done = Done(Journal(target.store, target.path, target.layout) if self.place.has_journals else None)
        job = Job(one, self._values(one, device), target, self.workers, self.memory, done, advance)
        try:
            job.run()
        finally:
            self.copied, self.skipped = self.copied + done.copied, self.skipped + done.skipped

    def _target(self, one: ArrayPlan, device: str | Device) -> Array:
        return Array(self.place.store, joined(self.place.path, one.path), one.metadata, device, Writable())

    def _values(self, one: ArrayPlan, device: str | Device) -> Values:
        damaged, skips = None if self._on_error == "raise" else self._note, self._on_error == "skip"
        return Values(of_device(one, device), one.part, one.cast, self.memory, damaged, skips)

    def _note(self, error: GpuZarrError) -> None:
        with self._lock:
            self.damaged.append(str(error))

    def make_nodes(self) -> None:
        """Write the metadata: from now on the copy is there."""
        nodes = {joined(self.place.path, path): _storable(node) for path, node in self.plan.nodes.items()}
        new_nodes(self.place.store, nodes, False)
        if self.plan.is_consolidated:
            consolidate_metadata(self.place.store, self.place.path)
        complete(self.place.store)

    def verify(self, progress: Any) -> None:
        """StoreError for the first block that differs from the source."""
        with reporting(progress, self.elements, "verify", "element") as advance:
            for one in self.plan.arrays:
                target = open(self.place.store, joined(self.place.path, one.path), device="cpu")
                self._compare(one, target, advance)

    def _compare(self, one: ArrayPlan, target: Any, advance: Callable[[int], None]) -> None:
        values = self._values(one, "cpu")
        job = Job(one, values, target, 1, self.memory, Done(None), advance)
        for block in job.blocks() if 0 not in target.shape else ():
            region = block.region(target.layout)
            wanted, found = values.read(region), target.get(region, memory_limit=self.memory)
            if not equal_bits(wanted, found):
                self.end()
                where = ", ".join(f"{each.start}:{each.stop}" for each in region)
                what = f"the copy of array {one.array.name!r} differs from the source in [{where}]"
                raise StoreError(f"{what}: {first_difference(found, wanted)}")
            advance(_count(region))

    def end(self) -> None:
        """Delete the journals."""
        self.place.end(self._arrays)


def _count(region: tuple[slice, ...]) -> int:
    return prod(each.stop - each.start for each in region)


def _opened(source: Any, storage_options: Any) -> Array | Group:
    return source if isinstance(source, Array | Group) else open(source, mode="r", storage_options=storage_options)


def _patterns(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str | Mapping) or not all(isinstance(one, str) for one in given):
        raise ArgumentError(f"{name} is a list of patterns, not {shown(given)}")
    return tuple(given)


def _workers(given: Any, *stores: Store) -> int:
    if given is None:
        return REMOTE_WORKERS if any(concurrency(store) > 1 for store in stores) else WORKERS
    return number(given, "workers", 1, 256)


def _destination(dest: Any, path: Any, options: Any, is_dry: bool) -> Destination:
    if isinstance(dest, Group):
        return Destination(dest.store, dest.below(files.clean(path)))
    is_named = isinstance(dest, str | os.PathLike)
    return Destination(store_of(dest, options, "r" if is_dry else "a"), files.clean(path), is_named)


def _check_apart(node: Array | Group, place: Destination) -> None:
    source, dest = (node.store, node.path), (place.store, place.path)
    if contains(source, dest) or contains(dest, source):
        raise ArgumentError(f"{place} lies in {node!r}, or the other way round: copy it elsewhere")


def _check_free(place: Destination, wanted: dict[str, bool]) -> None:
    try:
        place.check(wanted["overwrite"], wanted["resume"])
    except NotFoundError:  # an archive that is not there
        return


def _storable(node: Node) -> Node:
    """The metadata with a document that has all of it."""
    if isinstance(node, GroupMetadata) or node.zarr_format == 2:
        return node
    assert isinstance(node, ArrayMetadata)
    return replace(node, document=node.to_dict())
