"""How many batches of a read or write are at work on a GPU at once, and so how many hold each kind of memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """Batches that overlap: `prefetch_depth` are loaded ahead of those that are decoded, `concurrent` of them at once.

    `early`: their bytes are copied to the device while they are loaded, not when they are launched. With a depth of 0
    batches follow each other, and nothing overlaps.
    """

    prefetch_depth: int = 0
    concurrent: int = 1
    early: bool = False

    @property
    def decoded(self) -> int:
        """Batches that the device may be decoding at once: each has scratch of its own."""
        return self.concurrent if self.prefetch_depth else 1

    @property
    def incomplete(self) -> int:
        """Batches that are launched, and whose errors nobody has looked at: those decoded, and the next one."""
        return self.concurrent + 1 if self.prefetch_depth else 1

    @property
    def loaded(self) -> int:
        """Batches whose stored chunks are in pinned memory: those that are loaded, and the incomplete ones."""
        return self.prefetch_depth + self.incomplete

    @property
    def copied(self) -> int:
        """Batches whose stored chunks are on the device, too."""
        return self.loaded if self.early else self.incomplete
