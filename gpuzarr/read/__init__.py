"""The read path: a selection becomes a plan, whose work fetches, decodes and places chunks.

selection -> strategy -> Chunks | Batches -> locate -> fetch -> decode -> place into `out`
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import ChunkError
from gpuzarr.indexing.flip import ascending, flipped, with_ranges
from gpuzarr.indexing.selection import Outer, Points
from gpuzarr.read import strategy
from gpuzarr.read.fetch import Source
from gpuzarr.read.strategy import Options, places


def read(source: Source, selection: Outer | Points, out: Any, device: Device, options: Options, trace: Trace) -> None:
    """Fill `out`, an array of the device of shape `selection.shape`, with the elements selected.

    ChunkError for a damaged chunk, StoreError where the store cannot be read, DeviceError where GPUDirect Storage was
    asked for and cannot be.
    """
    selection = with_ranges(selection)
    if isinstance(selection, Points) and not out.flags.c_contiguous:  # its elements have no flat view
        flat = device.array(selection.shape, out.dtype)
        read(source, selection, flat, device, options, trace)
        out[...] = flat
        return
    target = flipped(selection, out)
    plan = strategy.choose(source, ascending(selection), target.flags.c_contiguous, device, options)
    trace.limit, trace.overlap, trace.io = plan.limit, plan.overlap, plan.io
    if plan.chain is not None:  # the trace is kept longer than the plan
        trace.codecs = partial(places, plan.chain, device)
    try:
        plan.work(source, target, device, trace).run()
    except ChunkError as refusal:
        if not device.gpu:
            raise
        try:
            _read_on_cpu(source, selection, target, device, options, trace)
        except MemoryError:
            raise refusal from None


def _read_on_cpu(
    source: Source, selection: Outer | Points, target: Any, device: Device, options: Options, trace: Trace
) -> None:
    """Let the CPU decide about what a GPU refused, so that a read has the same outcome on every device.

    The GPU decodes whole chunks, where the CPU decodes what is wanted of them, and nvCOMP refuses some streams that are
    unusual but right. Nothing is lost by it: this read had failed. Where the
    host has no memory for the result, the refusal stands.
    """
    result = np.empty(target.shape, target.dtype)
    plan = strategy.choose(source, ascending(selection), True, CPU, replace(options, io="auto"))
    plan.work(source, result, CPU, trace).run()
    trace.count(host_chunks=plan.chunks)
    target[...] = device.upload(result)
