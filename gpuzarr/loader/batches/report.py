"""Report on an epoch: batches, chunks, bytes and time; as text for people and as a dict for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import GpuZarrError
from gpuzarr.loader.batches.held import Held
from gpuzarr.read.memory import bytes_text
from gpuzarr.read.report import stage_seconds

LOADING = {"storage": "storage", "copy": "copy", "decode": "decode", "place": "decode"}  # stages of reads, and ours
MAX_WAITING = 0.05  # part of the time for which `next` may wait where the consumer is what limits
MAX_FAILURES = 1000  # that a report names
_MEANINGS = {
    "storage": "reads from the store; larger chunks or shards, or faster storage, would help",
    "copy": "copies from host memory to the GPU",
    "decode": "decoding of chunks; chunks that fit the samples, or a faster codec, would help",
    "cut": "cutting samples out of chunks, with casts and normalisation",
    "consumer": "the work between batches; the loader keeps up with it",
}


@dataclass
class Account:
    """What is counted while an epoch runs. Seconds of stages are those of threads; on a GPU, of its streams."""

    batches: int = 0
    samples: int = 0
    delivered_bytes: int = 0
    skipped: int = 0
    decoded: int = 0
    distinct: int = 0
    decoded_bytes: int = 0
    read_bytes: int | None = 0
    requests: int | None = 0
    peak_bytes: int = 0
    waited: float = 0
    waited_first: float = 0  # of that, for the first batch, whatever the consumer does then
    seconds: float = 0
    loading: float = 0  # of the clock; those of its stages overlap
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: list[GpuZarrError] = field(default_factory=list)
    failed: int = 0

    def add_load(self, device: Device, trace: Trace) -> None:
        """Add what a load of chunks took."""
        for stage, seconds in stage_seconds(device, trace, tuple(LOADING)).items():
            self.stages[LOADING[stage]] += seconds
        counts = trace.counts
        if counts["uncounted"] or self.read_bytes is None or self.requests is None:
            self.read_bytes = self.requests = None
        else:
            self.read_bytes, self.requests = self.read_bytes + counts["read"], self.requests + counts["requests"]

    def add_held(self, held: Held) -> None:
        """Note what was decoded so far, and what could not be."""
        self.decoded, self.distinct = held.decoded, held.distinct
        self.decoded_bytes, self.peak_bytes = held.decoded_bytes, held.peak_bytes

    def fail(self, errors: Sequence[GpuZarrError]) -> None:
        """Note chunks that could not be read."""
        self.failed += len(errors)
        self.failures += errors[: MAX_FAILURES - len(self.failures)]


@dataclass(frozen=True, repr=False)
class EpochReport:
    """A report on an epoch, kept as `Loader.last_epoch`. It grows while the epoch runs.

    Attributes
    ----------
    device
        The device of the batches.
    failures
        The `ChunkError` or `StoreError` of each chunk that could not be read, in the order in which they came.

    Examples
    --------
    >>> loader = gpuzarr.Loader({"x": gpuzarr.array(np.arange(8, dtype="uint8"), chunks=4)}, batch_size=4)
    >>> sum(len(batch["x"]) for batch in loader)
    8
    >>> loader.last_epoch.asdict()["chunks"]
    2
    """

    device: Device
    account: Account

    @property
    def failures(self) -> tuple[GpuZarrError, ...]:
        return tuple(self.account.failures)

    @property
    def stages(self) -> dict[str, float]:
        """Seconds in each stage: of reads from the store, of copies to the device, of decoding, of cutting samples out
        of chunks; and of the consumer, between its calls of `next`."""
        account = self.account
        names = ("storage", "copy", "decode", "cut")
        found: dict[str, float] = {name: account.stages[name] for name in names if name in account.stages}
        return {**found, "consumer": max(account.seconds - account.waited, 0.0)}

    @property
    def limited_by(self) -> str:
        """The consumer, if it hardly ever waited for a batch after the first one, and not longer for that than it did
        its work; else the stage that took the longest, where threads that load side by side count as one."""
        account, stages = self.account, self.stages
        later = account.waited - account.waited_first
        if later <= MAX_WAITING * account.seconds and account.waited_first <= stages["consumer"]:
            return "consumer"
        busy = {name: stages[name] for name in LOADING.values() if name in stages}
        scale = account.loading / (sum(busy.values()) or 1)
        busy = {name: seconds * scale for name, seconds in busy.items()}
        return max({**busy, "cut": stages.get("cut", 0.0)}.items(), key=itemgetter(1))[0]

    def asdict(self) -> dict[str, Any]:
        """All numbers of the report by their names; bytes and seconds.

        `chunks_reread`: chunks that were decoded again in the same epoch. `read_bytes` and `requests`: what came from
        the store; None where it does not count. `amplification`: decoded bytes for each byte that was delivered.
        """
        account = self.account
        return {
            "device": self.device.name,
            "batches": account.batches,
            "samples": account.samples,
            "skipped_samples": account.skipped,
            "chunks": account.decoded,
            "distinct_chunks": account.distinct,
            "chunks_reread": account.decoded - account.distinct,
            "requests": account.requests,
            "read_bytes": account.read_bytes,
            "decoded_bytes": account.decoded_bytes,
            "delivered_bytes": account.delivered_bytes,
            "amplification": account.decoded_bytes / max(account.delivered_bytes, 1),
            "peak_held_bytes": account.peak_bytes,
            "failures": account.failed,
            "seconds": {"epoch": account.seconds, "waited": account.waited, **self.stages},
            "limited_by": self.limited_by,
        }

    def __str__(self) -> str:
        said = self.asdict()
        seconds = said["seconds"]
        times = ", ".join(f"{name} {time:.3g}" for name, time in self.stages.items())
        skipped = f", {said['skipped_samples']} left out" if said["skipped_samples"] else ""
        lines = [
            f"{said['samples']} samples in {said['batches']} batches on {said['device']}{skipped}",
            f"decoded {said['chunks']} chunks ({said['chunks_reread']} of them again), "
            f"{bytes_text(said['decoded_bytes'])}, {said['amplification']:.3g} times the bytes delivered; "
            f"held at most {bytes_text(said['peak_held_bytes'])}",
        ]
        if said["read_bytes"] is not None:
            lines.append(f"read {bytes_text(said['read_bytes'])} from the store in {said['requests']} requests")
        if said["failures"]:
            lines.append(f"chunks that could not be read: {said['failures']}, the first: {self.account.failures[0]}")
        lines.append(f"took {seconds['epoch']:.3g} s, of which the caller waited {seconds['waited']:.3g} s for batches")
        lines.append(f"seconds of each stage, side by side: {times}")
        return "\n".join([*lines, f"limited by {self.limited_by}: {_MEANINGS[self.limited_by]}"])

    __repr__ = __str__
