"""How large the waves of a read may be: what a chunk needs beyond the result, and how many fit the limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuzarr.batch import ALIGNMENT
from gpuzarr.chain import Chain
from gpuzarr.devices import Device

SCRATCH = {  # bytes of nvCOMP's scratch and of decoded bytes that lie aside, for a decoded byte, at most
    "zstd": 3.06,
    "blosc": 4.1,
    "zlib": 1.1,
}
TABLES = 8 << 10  # bytes of scratch and tables a chunk; most of it is nvCOMP's for zstd
FIXED = 66 << 10  # bytes a wave: the guard behind nvCOMP's scratch, and flags
CLASS = 9 / 8  # a pinned buffer may be so much larger than what it holds
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_bytes(value: int | str) -> int:
    """A number of bytes from an int, or a str as "256MiB". ValueError if it is none, or not positive."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value) if isinstance(value, str) else None
    if found and found[2].lower() in _UNITS:
        value = int(float(found[1]) * _UNITS[found[2].lower()])
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"memory_limit must be a number of bytes, or as '256MiB', not {value!r}")
    return value


@dataclass(frozen=True)
class Cost:
    """Bytes that one chunk needs at most: pinned while it is loaded, on the device, and while it is decoded."""

    staged: int
    uploaded: int
    scratch: int

    def wave(self, ahead: int) -> int:
        """Of a pipeline in which `ahead` waves are loaded beside those that are decoded and checked."""
        checked = 1 if ahead else 0
        return (ahead + 1 + checked) * self.staged + (1 + checked) * self.uploaded + self.scratch


def cost(chain: Chain, device: Device) -> Cost:
    """What a chunk of this chain needs beyond the result, where it is stored no larger than an encoder makes it.

    The read path meets those that are larger in smaller waves.
    """
    nbytes = chain.spec.nbytes or chain.spec.dtype.itemsize
    stored = nbytes + len(chain.steps) * (nbytes // 64 + 64)
    stored = -(-stored // ALIGNMENT) * ALIGNMENT
    if not device.gpu:
        return Cost(stored, 0, nbytes)
    crossing, _ = chain.host_steps
    sent = stored if crossing == len(chain.steps) else -(-nbytes // ALIGNMENT) * ALIGNMENT
    arrays = [step for step in chain.steps[:crossing] if step.codec.kind != "bytes->bytes"]
    streams = [step for step in chain.steps[:crossing] if step.codec.kind == "bytes->bytes"]
    passes = len(arrays) + len(streams) - (2 if chain.direct(device) else 0)
    scratch = sum(SCRATCH.get(step.name.removeprefix("numcodecs."), 0.1) for step in streams)
    staged = stored + (sent if crossing < len(chain.steps) else 0)
    return Cost(int(CLASS * staged), sent, int((max(passes, 0) + scratch) * nbytes) + TABLES)


@dataclass(frozen=True)
class Share:
    """What `limit` allows for chunks of one kind: `chunks` a wave, and `ahead` waves loaded beside the one decoded."""

    chain: Chain
    limit: int
    cost: Cost
    chunks: int
    ahead: int

    @property
    def stored(self) -> int:
        """Bytes of encoded chunks that one wave may load."""
        return int(self.chunks * self.cost.staged / CLASS)

    @property
    def scratch(self) -> int:
        return self.chunks * self.cost.scratch


def share(chain: Chain, device: Device, limit: int) -> Share:
    """One chunk at a time, whatever it needs, where not even one fits."""
    need = cost(chain, device)
    if not device.gpu:
        each = limit // device.threads // max(need.wave(0), 1)
        return Share(chain, limit, need, max(1, each), 0)
    for ahead in range(device.ahead, -1, -1):
        if (chunks := (limit - FIXED) // need.wave(ahead)) >= 1:
            return Share(chain, limit, need, chunks, ahead)
    return Share(chain, limit, need, 1, 0)
