"""What a write did: batches, units, bytes, memory, and where its time went; in words and as a dict for programs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.read.report import counted, stage_seconds, steps, told

STAGES = ("load", "gather", "encode", "copy", "store")


@dataclass(frozen=True)
class WriteReport:
    """`seconds`: until the call returned. The device's times are asked for when somebody looks at them."""

    device: Device
    trace: Trace
    value_bytes: int
    seconds: float

    @cached_property
    def stages(self) -> dict[str, float]:
        """Seconds in each stage, of all batches and threads together; a stage that was not there is left out.

        "load" reads old chunks. On a CPU all are times of threads; on a GPU "gather", "encode" and "copy" are times of
        its streams (where the host does the last codecs, "encode" holds their threads' time too), "store" those of the
        threads that store a batch.
        """
        return stage_seconds(self.device, self.trace, STAGES)

    @property
    def limited_by(self) -> str:
        """The stage that was busy for the longest, by the number of batches that can be in it at once."""
        storing = max(self.trace.write_behind_depth, 1)
        busy = {stage: seconds / (storing if stage == "store" else 1) for stage, seconds in self.stages.items()}
        return max(busy, key=lambda stage: busy[stage], default="nothing")

    def asdict(self) -> dict[str, Any]:
        trace, counts = self.trace, self.trace.counts
        return {
            **counted(self.device, trace),
            "write_behind_depth": trace.write_behind_depth,
            "empty_chunks": counts["empty"],
            "whole_units": counts["whole"],
            "partly_units": counts["partly"],
            "locks": counts["locks"],
            "value_bytes": self.value_bytes,
            "old_bytes": counts["old"],
            "seconds": {"call": self.seconds, **self.stages},
            "limited_by": self.limited_by,
        }

    def __str__(self) -> str:
        said = self.asdict()
        head = [
            f"wrote {said['chunks']} chunks in {said['batches']} batches on {said['device']}; {said['empty_chunks']} "
            "hold only the fill value, and are not stored",
            f"given {said['value_bytes']} bytes, stored {said['stored_bytes']}; encoded: {steps(said)}",
            f"{said['whole_units']} units whole, {said['partly_units']} covered in part under {said['locks']} locks, "
            f"for which {said['old_bytes']} bytes were read",
        ]
        bus = f"{said['fetched_bytes']} bytes out and {said['sent_bytes']} in"
        return told(head, self.device, said, bus, "chunks that it refused, encoded on the host")
