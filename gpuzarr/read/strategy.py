"""From a selection to batches of chunks, as large as the memory limit and the device's liking allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import Any, Literal

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.indexing.grid import Part, coords_of, parts
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read.estimate import Sizes, estimated, nothing
from gpuzarr.read.memory import BatchBudget, parse_bytes, share

ALONE = 1 << 18  # decoded bytes that are not worth a second thread
STREAMS = 4096  # that fill a GPU; a stream of zstd has some 30 MB/s, a full GPU some 60 GB/s
SHARES = 64  # that are kept for an array
WAVES = 8  # of a read, that storage, bus and GPU be busy at once


@dataclass(frozen=True)
class Options:
    """How arrays are read.

    `memory_limit`: bytes that a read may hold beyond its result (None: what the device thinks right). `validate`:
    "host" decodes on the CPU, whatever the device, so that no damaged stream ever reaches the GPU's decoders. `io`: how
    bytes come from files to a GPU (`gpuzarr.read.transport`).
    """

    memory_limit: int | None = None
    validate: Literal["auto", "host"] = "auto"
    io: Literal["auto", "gds", "posix"] = "auto"

    def changed(self, **options: Any) -> Options:
        """With those of `options` that are not None. ValueError for a value that means nothing."""
        given = {name: value for name, value in options.items() if value is not None}
        if "memory_limit" in given:
            given["memory_limit"] = parse_bytes(given["memory_limit"])
        if (validate := given.get("validate", "auto")) not in ("auto", "host"):
            raise ValueError(f"validate is 'auto' or 'host', not {validate!r}")
        if (io := given.get("io", "auto")) not in ("auto", "gds", "posix"):
            raise ValueError(f"io is 'auto', 'gds' or 'posix', not {io!r}")
        return replace(self, **given)


@dataclass(frozen=True)
class Batch:
    """Chunks that are read, decoded and placed together; all of one shape."""

    parts: tuple[Part, ...]

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        return self.parts[0].chunk_shape

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @cached_property
    def coords(self) -> np.ndarray:
        """Coordinates of the innermost chunks, int64 (n, ndim)."""
        return coords_of(self.parts)

    def pieces(self, n: int) -> list[Batch]:
        """Whole: what could not be loaded at once is read in halves, one after the other."""
        return [self]

    def two_phase(self) -> Iterator[Batch]:
        """The same chunks in two batches or a few."""
        most = -(-len(self.coords) // 2)
        for part in self.parts:
            for piece in part.split(most):
                yield Batch((piece,))

    def split(self, present: np.ndarray) -> Iterator[tuple[Part, np.ndarray]]:
        """Each part, with its share of an array that has an entry a chunk."""
        first = 0
        for part in self.parts:
            yield part, present[first : first + len(part)]
            first += len(part)


@dataclass(frozen=True)
class Plan:
    """The batches of a read. `prefetch_depth`: how many may be loaded beside the one that is decoded. `shares`: by
    chunk shape."""

    batches: list[Batch]
    limit: int
    shares: dict[tuple[int, ...], BatchBudget]

    @property
    def prefetch_depth(self) -> int:
        return min((share.prefetch_depth for share in self.shares.values()), default=0)

    @property
    def _staging(self) -> int:
        return max((share.cost.staging(share.chunks, self.prefetch_depth) for share in self.shares.values()), default=0)

    @property
    def at_once(self) -> int:
        """Bytes beyond the result, at most, while batches of all kinds follow each other."""
        return self._staging + max((share.decoding(self.prefetch_depth) for share in self.shares.values()), default=0)

    @property
    def room(self) -> int:
        """Bytes of the limit that a batch has while it is decoded; of a chunk that is read alone, what it needs."""
        alone = max((share.cost.decoding(1, 0) for share in self.shares.values()), default=0)
        return max(self.limit - self._staging, alone)

    @property
    def pinned_bytes(self) -> int:
        """Bytes of encoded chunks that batches have, about, if there are several (else 0): all take as much pinned
        memory, so that each can use what another gave back. Within the limit, whatever a damaged index foresees."""
        if len(self.batches) < 2:
            return 0
        estimated = max(len(batch.coords) * self.shares[batch.chunk_shape].cost.stored for batch in self.batches)
        return min(estimated, self.limit)

    def held(self, batch: Batch, device: Device) -> int:
        """Bytes beyond the result, at most, while batches like this one follow each other."""
        share, chunks = self.shares[batch.chunk_shape], len(batch.coords)
        if device.gpu:
            return share.cost.staging(share.chunks, self.prefetch_depth) + share.cost.decoding(
                chunks, self.prefetch_depth
            )
        return share.cost.batch(chunks, 0) * min(device.threads, len(self.batches))

    def codecs(self, device: Device) -> tuple[tuple[str, str], ...]:
        """Each codec's name and where it decodes, in that order."""
        return next((places(share.chain, device) for share in self.shares.values()), ())


def places(chain: Chain, device: Device) -> tuple[tuple[str, str], ...]:
    """Each codec's name and where it decodes, in that order."""
    return tuple((name, device.name if device.gpu and on_gpu else "host") for name, on_gpu in reversed(chain.where()))


def plan(
    layout: Layout,
    selection: Outer | Points,
    device: Device,
    options: Options,
    sizes: Sizes | None = None,
    contiguous: bool = True,
) -> Plan:
    """The batches of a selection whose ranges run forward.

    On a CPU a batch is the few chunks that stay in its cache, on a GPU it is many; within the memory limit on both.
    `sizes` tells how large chunks are as they are stored; without it a GPU's batches expect the worst.
    `contiguous`: whether the result is, so that chunks may be decoded straight to their place.
    """
    limit = device.memory_limit if options.memory_limit is None else options.memory_limit
    found = list(parts(selection, layout.axes, layout.together(device)))
    of_shape: dict[tuple[int, ...], list[Part]] = {}
    for part in found:
        of_shape.setdefault(part.chunk_shape, []).append(part)
    total = sum(map(len, found))

    def shares(limit: int) -> dict[tuple[int, ...], BatchBudget]:
        made: dict[tuple[int, ...], BatchBudget] = {}
        for shape, alike in of_shape.items():
            chunks = total if len(of_shape) == 1 else sum(map(len, alike))
            wanted = min(_most(layout, shape, total, device), chunks)
            if device.gpu:
                extents = () if isinstance(selection, Points) else selection.full_shape
                whole = contiguous and all(part.in_one_piece(extents) for part in alike)
                seen = partial(estimated, alike, sizes) if sizes else nothing
                made[shape] = share(_chain(layout, shape, options), device, limit, wanted, total > wanted, whole, seen)
            else:
                made[shape] = _kept_share(layout, shape, options, device, limit, wanted)
        return made

    planned = Plan([], limit, shares(limit))
    if device.gpu and len(of_shape) > 1 and planned.at_once > limit:  # one kind is loaded while another is decoded
        planned = replace(planned, shares=shares(limit // 2))
    for shape, some in groupby(found, key=attrgetter("chunk_shape")):
        planned.batches.extend(together(some, planned.shares[shape].chunks))
    return planned


def _kept_share(
    layout: Layout, shape: tuple[int, ...], options: Options, device: Device, limit: int, wanted: int
) -> BatchBudget:
    """On a CPU nothing that is stored counts: the share of one read is that of the next one like it."""
    asked = shape, options.validate, device, limit, wanted
    found: BatchBudget | None = layout.shares.get(asked)
    if found is None:
        found = share(_chain(layout, shape, options), device, limit, wanted, False, False, nothing)
        if len(layout.shares) >= SHARES:
            layout.shares.clear()
        layout.shares[asked] = found
    return found


def together(parts: Iterable[Part], most: int) -> Iterator[Batch]:
    """Batches of at most `most` chunks, in order; parts with more are split."""
    batch: list[Part] = []
    chunks = 0
    for part in parts:
        for piece in (part,) if len(part) <= most else part.split(most):
            size = len(piece)
            if batch and chunks + size > most:
                yield Batch(tuple(batch))
                batch, chunks = [], 0
            batch.append(piece)
            chunks += size
    if batch:
        yield Batch(tuple(batch))


def _most(layout: Layout, chunk_shape: tuple[int, ...], total: int, device: Device) -> int:
    """Chunks a batch: within the device's budget, and for a longer read enough batches to keep its threads busy.

    A GPU needs many streams at once: of large chunks a batch has more bytes, if the read has `WAVES` such batches.
    """
    chunk = prod(chunk_shape) * max(layout.spec.dtype.itemsize, 1)
    most = max(1, device.batch_bytes // max(chunk, 1))
    if device.gpu:
        return max(most, min(STREAMS, total // WAVES))
    return most if total <= most else max(1, min(most, -(-total // device.threads)))


def _chain(layout: Layout, shape: tuple[int, ...], options: Options) -> Chain:
    chain = layout.chain(shape)
    return replace(chain, all_on_host="validate='host' was asked for") if options.validate == "host" else chain
