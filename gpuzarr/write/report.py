"""Report on a write: batches, bytes, memory and time; as text for people and as a dict for programs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.read.report import counted, stage_seconds, steps, told
from gpuzarr.write.unguarded import GUARDED

STAGES = ("load", "gather", "encode", "copy", "store")


@dataclass(frozen=True, repr=False)
class WriteReport:
    """A report on a write, kept as `Array.last_write`. Times of a GPU are asked for when somebody looks at them.

    Attributes
    ----------
    value_bytes
        Bytes of the value, after broadcasting, in the dtype of the array.
    seconds
        Seconds until the call returned.

    Examples
    --------
    >>> a = gpuzarr.zeros(8, dtype="uint8", chunks=4)
    >>> a[:6] = 1
    >>> a.last_write.asdict()["whole_objects"], a.last_write.asdict()["partial_objects"]
    (1, 1)
    """

    device: Device
    trace: Trace
    value_bytes: int
    seconds: float

    @cached_property
    def stages(self) -> dict[str, float]:
        """Seconds in each stage ("load", "gather", "encode", "copy", "store"), of all batches and threads together.

        "load" reads old chunks. A stage that did not take place is left out. On a CPU these are times of threads. On a
        GPU, "gather", "encode" and "copy" are times of its streams ("encode" includes codecs that run on the host), and
        "store" is that of the threads that store a batch.
        """
        return stage_seconds(self.device, self.trace, STAGES)

    @property
    def limited_by(self) -> str:
        """The stage that was busy the longest, after division by the number of batches that can be in it at once."""
        storing = max(self.trace.write_behind_depth, 1)
        busy = {stage: seconds / (storing if stage == "store" else 1) for stage, seconds in self.stages.items()}
        return max(busy, key=lambda stage: busy[stage], default="nothing")

    def asdict(self) -> dict[str, Any]:
        """All numbers of the report by their names; bytes and seconds."""
        trace, counts = self.trace, self.trace.counts
        return {
            **counted(self.device, trace),
            "write_behind_depth": trace.write_behind_depth,
            "empty_chunks": counts["empty"],
            "whole_objects": counts["whole"],
            "partial_objects": counts["partial"],
            "locks": counts["locks"],
            "guard": trace.guard,
            "value_bytes": self.value_bytes,
            "old_bytes": counts["old"],
            "requests": None if counts["uncounted"] else counts["requests"],
            "read_bytes": None if counts["uncounted"] else counts["read"],
            "puts": counts["puts"],
            "put_bytes": counts["put"],
            "conflicts": counts["conflicts"],
            "seconds": {"call": self.seconds, **self.stages},
            "limited_by": self.limited_by,
        }

    def __str__(self) -> str:
        said = self.asdict()
        head = [
            f"wrote {said['chunks']} chunks in {said['batches']} batches on {said['device']}; {said['empty_chunks']} "
            "hold only the fill value, and are not stored",
            f"given {said['value_bytes']} bytes, stored {said['stored_bytes']}; encoded: {steps(said)}",
            f"{said['whole_objects']} objects whole; {said['partial_objects']} covered in part, "
            f"{GUARDED[said['guard']].format(said['locks'])}; for these {said['old_bytes']} bytes were read",
        ]
        if said["requests"]:
            head.append(f"came from the store: {said['read_bytes']} bytes in {said['requests']} requests")
        head.append(f"given to the store: {said['put_bytes']} bytes in {said['puts']} objects")
        if said["conflicts"]:
            head.append(f"{said['conflicts']} objects once more, as others had replaced them meanwhile")
        bus = f"{said['fetched_bytes']} bytes out and {said['sent_bytes']} in"
        return told(head, self.device, said, bus, f"chunks that it refused, encoded by the CPU: {said['host_chunks']}")

    __repr__ = __str__
