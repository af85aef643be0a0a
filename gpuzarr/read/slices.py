"""Load the chunks of a batch slice by slice: while one slice is read, those before it are copied to the GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.errors import RangeError
from gpuzarr.read import thresholds
from gpuzarr.stores.contract import Objects
from gpuzarr.stores.ranges import Ranges, Requests


def sliced(objects: Objects, ranges: Ranges, requests: Requests) -> list[Requests]:
    """Requests for the same ranges, in order, in slices of about `UPLOAD_SLICE_BYTES`."""
    ends = np.cumsum(np.maximum(requests.wanted, 0))
    slices = int(ends[-1]) // thresholds.UPLOAD_SLICE_BYTES if len(ends) else 0
    if slices < 2:
        return [requests]
    cuts = np.searchsorted(ends, np.arange(1, slices) * (int(ends[-1]) // slices))
    runs = np.split(np.arange(len(ends)), np.unique(cuts))
    return [objects.requests(ranges.take(run)) for run in runs if len(run)]


def read_in_slices(slices: Sequence[tuple[Objects, Requests]], target: EncodedBatch, device: Device) -> EncodedBatch:
    """Read all slices into `target`, pinned memory with a place for each request: chunks on the device, as on the host.

    The copies to the device need not be done yet: `device.await_uploads()` orders launches behind them. RangeError with
    the number of the range among all.
    """
    copy = device.upload_target(len(target.data))
    starts: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    request = begin = 0
    for i, (objects, requests) in enumerate(slices):
        some = target.take(slice(request, request := request + len(requests.sizes)))
        found = _read(objects, requests, some, sum(len(each) for each in sizes))
        starts.append(found.starts)
        sizes.append(found.sizes)
        is_last = i + 1 == len(slices) or request == len(target)
        end = len(target.data) if is_last else int(target.starts[request])
        device.upload_part(target.data[begin:end], copy[begin:end])
        begin = end
    return EncodedBatch(copy, np.concatenate(starts), np.concatenate(sizes), target.data)


def _read(objects: Objects, requests: Requests, target: EncodedBatch, before: int) -> EncodedBatch:
    """Read one slice. `before`: the number of ranges before it."""
    try:
        return objects.read(requests, target)
    except RangeError as error:
        error.index += before
        raise
