"""The read path: selections become plans, whose work fetches, decodes and places chunks.

requests -> shares -> strategy -> Chunks | Batches -> locate -> fetch -> decode -> place into the results
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ChunkError
from gpuzarr.indexing.boxes import Targets
from gpuzarr.indexing.flip import with_ranges
from gpuzarr.indexing.selection import Points
from gpuzarr.read import strategy
from gpuzarr.read.faults import TOLERATED, Fault
from gpuzarr.read.requests import Request, SeveralSelections, Share, fitting, plannable, shares_of
from gpuzarr.read.strategy import Options, places

Upload = Callable[[], None]


def read(
    requests: Sequence[Request],
    device: Device,
    options: Options,
    trace: Trace,
    faults: list[Fault] | None = None,
    stack: Any = None,
) -> None:
    """Fill the result of each request, an array of the device, with the elements selected; each chunk is decoded once.

    `faults`: if given, what is damaged or cannot be read is noted there, and has the fill value. `stack`: an array of
    which the results are the parts along the first axis, if there is one. ChunkError for a damaged chunk, StoreError
    where the store cannot be read, DeviceError where GPUDirect Storage was asked for and cannot be.
    """
    flat = [_flat(request, device) for request in requests]
    for some in plannable(flat):
        shares = shares_of(some, stack if len(some) == len(flat) else None)
        _read(shares, device, options, trace, faults, partial(_requests_on_cpu, some, device))
    for request, made in zip(requests, flat, strict=True):
        if made.out is not request.out:
            request.out[...] = made.out


def read_tables(
    tables: Sequence[SeveralSelections],
    device: Device,
    options: Options,
    trace: Trace,
    faults: list[Fault] | None = None,
) -> None:
    """Fill what tables of chunks say, without a request for each of many chunks. Otherwise as `read`."""
    for some in fitting(tables):
        _read(some, device, options, trace, faults, partial(_tables_on_cpu, some, device))


def _flat(request: Request, device: Device) -> Request:
    """The same request, with ranges for lists of equal steps, and for points a result that has a flat view."""
    selection, out = with_ranges(request.selection), request.out
    if isinstance(selection, Points) and not out.flags.c_contiguous:
        out = device.array(selection.shape, out.dtype)
    is_same = selection is request.selection and out is request.out
    return request if is_same else replace(request, selection=selection, out=out)


def _read(
    shares: Sequence[Share],
    device: Device,
    options: Options,
    trace: Trace,
    faults: list[Fault] | None,
    on_cpu: Callable[[], tuple[Sequence[Share], Upload]],
) -> None:
    """Read what fits one plan. `on_cpu` makes the same shares for a CPU, and what uploads their results."""
    tolerated = ChunkError if faults is None else TOLERATED
    for plan in strategy.choose(shares, device, options, trace):
        trace.limit, trace.overlap, trace.io = plan.limit, plan.overlap, plan.io
        if plan.chain is not None:  # the trace is kept longer than the plan
            trace.codecs = partial(places, plan.chain, device)
        try:
            plan.work(device, trace, None if device.gpu else faults).run()
        except tolerated as refusal:
            if not device.gpu:
                raise
            try:
                _read_on_cpu(on_cpu, options, trace, faults)
            except MemoryError:
                raise refusal from None


def _read_on_cpu(
    on_cpu: Callable[[], tuple[Sequence[Share], Upload]], options: Options, trace: Trace, faults: list[Fault] | None
) -> None:
    """Let the CPU decide about what a GPU refused, so that a read has the same outcome on every device.

    The GPU decodes whole chunks, where the CPU decodes what is wanted of them, and nvCOMP refuses some streams that are
    unusual but right. Nothing is lost by it: this read had failed. Where the
    host has no memory for the result, the refusal stands.
    """
    shares, upload = on_cpu()
    for plan in strategy.choose(shares, CPU, replace(options, io="auto")):
        plan.work(CPU, trace, faults).run()
        trace.count(host_chunks=plan.chunks)
    upload()


def _requests_on_cpu(requests: Sequence[Request], device: Device) -> tuple[Sequence[Share], Upload]:
    on_host = [replace(request, out=np.empty(request.out.shape, request.out.dtype)) for request in requests]

    def upload() -> None:
        for request, made in zip(requests, on_host, strict=True):
            request.out[...] = device.upload(made.out)

    return shares_of(on_host), upload


def _tables_on_cpu(tables: Sequence[SeveralSelections], device: Device) -> tuple[Sequence[Share], Upload]:
    outs = [[table.out.arrays[i] for i in range(len(table.out.arrays))] for table in tables]
    on_host = [[np.empty(out.shape, out.dtype) for out in some] for some in outs]

    def upload() -> None:
        for table, some, made in zip(tables, outs, on_host, strict=True):
            for i in {i for boxes in table.boxes for i in boxes.target.tolist()}:
                some[i][...] = device.upload(made[i])

    return [replace(table, out=Targets(made)) for table, made in zip(tables, on_host, strict=True)], upload
