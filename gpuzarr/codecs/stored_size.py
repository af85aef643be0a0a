"""The bytes that a chunk may have as it is stored, so that what is larger is refused before it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import MAX_UNKNOWN_BYTES, BytesSpec
from gpuzarr.errors import CodecError

PADDING_RATIO, PADDING_BYTES = 2, 1 << 20  # above what encoders make: frames that are skipped, small members


@dataclass(frozen=True)
class StoredSize:
    """From `least` to `most` bytes; the same where metadata tells how many. `codec`: the name of the last codec."""

    codec: str
    least: int
    most: int

    @classmethod
    def of(cls, codec: str, spec: BytesSpec) -> StoredSize:
        """The sizes of stored chunks of which encoders make what `spec` says."""
        if spec.nbytes is not None:
            return cls(codec, spec.nbytes, spec.nbytes)
        if spec.at_most is None:
            return cls(codec, 0, max(MAX_UNKNOWN_BYTES, spec.allowed or 0))
        return cls(codec, 0, PADDING_RATIO * spec.at_most + PADDING_BYTES)

    def wrong(self, sizes: np.ndarray) -> CodecError | None:
        """The error for the first chunk whose size cannot be right; None if all may be. A missing chunk has -1."""
        bad = (sizes < self.least) | (sizes > self.most)
        if not np.count_nonzero(bad) or not (bad := bad & (sizes >= 0)).any():
            return None
        index = int(np.argmax(bad))
        expected = f"{self.most}" if self.least == self.most else f"at most {self.most}"
        return CodecError(f"{self.codec}: a chunk of {sizes[index]} bytes, expected {expected}", index, self.codec)
