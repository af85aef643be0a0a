"""The law of hostile chunks: the right answer or a typed error, soon and within memory; and the same on each device.

What a read returns or refuses depends on the stored bytes alone, so two devices agree to the bit, and on the chunk.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, UnsupportedError
from tests.chunks import batch_on
from tests.hardware import complete

MAX_CPU_SECONDS = 10  # of this process for one batch, where milliseconds are usual: other processes count for nothing
Decoded = list[Any]


class SlowError(AssertionError):
    """A chunk kept the process busy as none should."""


def decoded_or_refused(codec: Any, spec: Any, chunks: list[bytes], device: Device) -> tuple[str, Any]:
    """What a batch becomes: ("values", a comparable item a chunk), or ("refused", the index of the bad chunk)."""
    begin = time.process_time()
    try:
        made = codec.decode(batch_on(device, chunks), spec, device)
        complete(device)
    except CodecError as error:
        assert str(error)
        return "refused", error.index
    except UnsupportedError:
        return "refused", None
    finally:
        if (took := time.process_time() - begin) > MAX_CPU_SECONDS:
            raise SlowError(f"{took:.0f} s of the CPU for {chunks[1]!r:.300}")
    return "values", comparable(made, device)


def comparable(made: Any, device: Device) -> Decoded:
    """Each decoded chunk as bytes, or as text where its elements are Python objects."""
    if isinstance(made, EncodedBatch):
        data = device.download(made.data) if device.gpu else made.data
        return [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]
    made = device.download(made) if device.gpu and isinstance(made, device.xp.ndarray) else np.asarray(made)
    if made.dtype.hasobject or made.dtype.kind == "T":
        return [repr(chunk.tolist()) for chunk in made]
    return [np.ascontiguousarray(chunk.astype(made.dtype.newbyteorder("="))).tobytes() for chunk in made]


def devices_agree(codec: Any, spec: Any, chunks: list[bytes], devices: list[Device], may_gap: bool = False) -> None:
    """The second of three chunks may be bad; the others are the same right one.

    `may_gap`: of streams of deflate with a checksum behind. nvCOMP does not tell where a stream ended, so bytes between
    it and a checksum that matches are seen by the CPU only: there the other device may have the right value instead.
    """
    found = {device.name: decoded_or_refused(codec, spec, chunks, device) for device in devices}
    first, *others = found.values()
    assert first[0] == "values" or first[1] in (1, None), found
    for kind, value in others:
        is_gap = may_gap and first[0] == "refused" and kind == "values" and value[1] == value[0]
        assert (kind, value) == first or is_gap, f"{codec}, {spec}: {told(found)} of {chunks[1]!r:.2000}"


def told(found: dict[str, tuple[str, Any]]) -> str:
    return "; ".join(f"{name}: {kind} {value!r:.200}" for name, (kind, value) in found.items())
