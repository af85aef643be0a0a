"""Report on a read: batches, bytes, memory and time; as text for people and as a dict for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.overlap import Overlap
from gpuzarr.devices.trace import Trace

STAGES = ("storage", "copy", "decode", "place")
SOONER = {  # why the host decoded chunks that the GPU could have, by the count's name
    "host_measured": "sooner there by measured rates",
    "host_guessed": "sooner there by guessed rates",
    "host_asked": "as was asked",
}


def stage_seconds(device: Device, trace: Trace, stages: Sequence[str]) -> dict[str, float]:
    """Seconds in each stage that was there, of all batches and threads together."""
    found: dict[str, float] = defaultdict(float)
    for stage, begin, end in list(trace.times):
        found[stage] += device.seconds(begin, end)
    return {stage: found[stage] for stage in stages if stage in found}


def counted(device: Device, trace: Trace) -> dict[str, Any]:
    """What is said of every read and write."""
    counts, peak = trace.counts, trace.held.peak
    return {
        "device": device.name,
        "batches": counts["batches"],
        "chunks": counts["chunks"],
        "streams": dict(sorted(trace.streams.items())),
        "host_chunks": counts["host_chunks"],
        "codecs": list(trace.codecs()),
        "stored_bytes": counts["stored"],
        "sent_bytes": counts["sent"],
        "fetched_bytes": counts["fetched"],
        "memory_limit": trace.limit,
        "peak_pinned_bytes": peak["pinned"],
        "peak_device_bytes": peak["device"],
        "peak_bytes": peak["total"],
    }


def steps(said: dict[str, Any]) -> str:
    """Which codec ran where."""
    return ", ".join(f"{name} on {where}" for name, where in said["codecs"]) or "nothing"


def told(head: list[str], device: Device, said: dict[str, Any], bus: str, host: str) -> str:
    """The lines of a report. `host`: how many chunks the host did for a GPU, and why."""
    streams = ", ".join(f"{count} {name}" for name, count in said["streams"].items()) or "none"
    times = ", ".join(f"{stage} {seconds * 1e3:.3g}" for stage, seconds in said["seconds"].items())
    held = f"{said['peak_pinned_bytes']} pinned and {said['peak_device_bytes']} on the device"
    on_gpu = [
        f"over the bus {bus}; held at most {held} (limit {said['memory_limit']})",
        f"compressed streams: {streams}; {host}",
    ]
    last = f"milliseconds: {times}; limited by {said['limited_by']}"
    return "\n".join([*head, *(on_gpu if device.gpu else []), last])


@dataclass(frozen=True, repr=False)
class ReadReport:
    """A report on a read, kept as `Array.last_read`. Times of a GPU are asked for when somebody looks at them.

    Attributes
    ----------
    result_bytes
        Bytes of the result.
    seconds
        Seconds until the call returned; a GPU may still have been at work then.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(8, dtype="uint8"), chunks=4)
    >>> values = a[:6]
    >>> a.last_read.asdict()["chunks"], a.last_read.result_bytes
    (2, 6)
    """

    device: Device
    trace: Trace
    result_bytes: int
    seconds: float

    @cached_property
    def stages(self) -> dict[str, float]:
        """Seconds in each stage ("storage", "copy", "decode", "place"), of all batches and threads together.

        A stage that did not take place is left out. On a CPU these are times of threads. On a GPU, "copy", "decode"
        and "place" are times of its streams; "decode" includes the time for which it waits for a copy.
        """
        return stage_seconds(self.device, self.trace, STAGES)

    @property
    def _overlap(self) -> Overlap:
        return self.trace.overlap or Overlap()

    @property
    def _host_reasons(self) -> dict[str, int]:
        """How many chunks the host decoded for a GPU, by the reason."""
        counts = self.trace.counts
        found = {why: counts[name] for name, why in SOONER.items()}
        found["unusual"] = counts["host_chunks"] - sum(found.values())
        return {why: count for why, count in found.items() if count}

    @property
    def limited_by(self) -> str:
        """The stage that was busy the longest, after division by the number of batches that can be in it at once."""
        loading = self._overlap.prefetch_depth + 1 if self.device.gpu else 1
        busy = {stage: seconds / (loading if stage == "storage" else 1) for stage, seconds in self.stages.items()}
        return max(busy, key=lambda stage: busy[stage], default="nothing")

    def asdict(self) -> dict[str, Any]:
        """All numbers of the report by their names; bytes and seconds.

        `stored_bytes` is what the chunks that were decoded have in the store. `read_bytes` is what really came from the
        store, in so many `requests` (for local files: calls of the system that read): indexes of shards, what lies
        between ranges that were read as one, and whole objects where the store has no ranges, are in it. Both are None
        for a store that does not count.
        """
        trace = self.trace
        return {
            **counted(self.device, trace),
            "host_reasons": self._host_reasons,
            "prefetch_depth": self._overlap.prefetch_depth,
            "io": trace.io,
            "requests": None if trace.counts["uncounted"] else trace.counts["requests"],
            "read_bytes": None if trace.counts["uncounted"] else trace.counts["read"],
            "cache_hits": trace.counts["cache_hits"],
            "cache_misses": trace.counts["cache_misses"],
            "result_bytes": self.result_bytes,
            "seconds": {"call": self.seconds, **self.stages},
            "limited_by": self.limited_by,
        }

    def __str__(self) -> str:
        said = self.asdict()
        head = [
            f"read {said['chunks']} chunks in {said['batches']} batches on {said['device']}, {said['io']}",
            f"stored {said['stored_bytes']} bytes, result {said['result_bytes']}; decoded: {steps(said)}",
        ]
        if said["requests"] is not None:
            head.append(f"came from the store: {said['read_bytes']} bytes in {said['requests']} requests")
        if said["cache_hits"] + said["cache_misses"]:
            head.append(f"chunks that the cache had: {said['cache_hits']}, and had not: {said['cache_misses']}")
        bus = f"{said['sent_bytes']} bytes in and {said['fetched_bytes']} out"
        reasons = ", ".join(f"{count} {why}" for why, count in said["host_reasons"].items())
        host = f"chunks decoded by the CPU: {said['host_chunks']}" + (f" ({reasons})" if reasons else "")
        return told(head, self.device, said, bus, host)

    __repr__ = __str__
