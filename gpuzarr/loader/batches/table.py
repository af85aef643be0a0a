"""Which chunks of a source are held, and which were: numbers of chunks, in C order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

NONE = np.zeros(0, np.int64)  # of no chunk
_PAGE_BITS = 12


@dataclass
class Table:
    """The chunks of one source that are held: `numbers`, ascending; the slot of each and its address, by how many
    blocks it is needed, whether it was read, and when the last block left it. int64 or bool (n,) each.

    `places`: numbers and addresses, as others may read them at any time; these arrays do not change.
    """

    numbers: np.ndarray
    slots: np.ndarray
    addresses: np.ndarray
    uses: np.ndarray
    read: np.ndarray
    left: np.ndarray

    def __post_init__(self) -> None:
        self.places = self.numbers, self.addresses

    @classmethod
    def empty(cls) -> Table:
        return cls(*(np.zeros(0, dtype) for dtype in (np.int64, np.int64, np.int64, np.int64, bool, np.int64)))

    def missing(self, numbers: np.ndarray) -> np.ndarray:
        """Those of some numbers that are not held."""
        return numbers[~self._there(numbers)[0]]

    def unused(self, numbers: np.ndarray) -> np.ndarray:
        """Those of some numbers that no block needs, held or not."""
        there, at = self._there(numbers)
        there[there] = self.uses[at[there]] > 0
        return numbers[~there]

    def unread(self, numbers: np.ndarray) -> np.ndarray:
        """Those of some numbers that are held, and not read yet."""
        there, at = self._there(numbers)
        return numbers[there][~self.read[at[there]]]

    def idle(self, needed: np.ndarray = NONE) -> np.ndarray:
        """The numbers of those that no block needs, without those that are `needed`."""
        return self.numbers[self._idle(needed)]

    def count_idle(self, needed: np.ndarray = NONE) -> int:
        """How many these are."""
        return int(np.count_nonzero(self._idle(needed)))

    def _idle(self, needed: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.uses == 0
        if len(needed):
            there, at = self._there(needed)
            found[at[there]] = False
        return found

    def add(self, numbers: np.ndarray, slots: np.ndarray, addresses: np.ndarray) -> None:
        """Add chunks that were missing."""
        at = np.searchsorted(self.numbers, numbers)
        self.numbers, self.slots = np.insert(self.numbers, at, numbers), np.insert(self.slots, at, slots)
        self.addresses = np.insert(self.addresses, at, addresses)
        self.uses, self.left = np.insert(self.uses, at, 0), np.insert(self.left, at, 0)
        self.read = np.insert(self.read, at, False)
        self.places = self.numbers, self.addresses

    def use(self, numbers: np.ndarray) -> None:
        """Note one more block that needs these chunks."""
        self.uses[np.searchsorted(self.numbers, numbers)] += 1

    def leave(self, numbers: np.ndarray, now: int) -> None:
        """Note one block less."""
        at = np.searchsorted(self.numbers, numbers)
        self.uses[at] -= 1
        self.left[at] = now

    def note_read(self, numbers: np.ndarray, is_read: bool) -> None:
        """Note of those that are held whether they were read."""
        there, at = self._there(numbers)
        self.read[at[there]] = is_read

    def remove(self, numbers: np.ndarray) -> np.ndarray:
        """Remove some that are held. Returns their slots."""
        at = np.searchsorted(self.numbers, numbers)
        slots = self.slots[at]
        for name in ("numbers", "slots", "addresses", "uses", "read", "left"):
            setattr(self, name, np.delete(getattr(self, name), at))
        self.places = self.numbers, self.addresses
        return slots

    def move(self, slots: np.ndarray, addresses: np.ndarray) -> None:
        """Note other slots of the same chunks."""
        self.slots, self.addresses = slots, addresses
        self.places = self.numbers, self.addresses

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """The slots of chunks that are held."""
        there, at = self._there(numbers)
        assert there.all(), "a chunk is needed that no live block needs"
        return self.slots[at]

    def ages(self, numbers: np.ndarray) -> np.ndarray:
        """When the last block left these, which are held."""
        return self.left[np.searchsorted(self.numbers, numbers)]

    def _there(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self.numbers):
            return np.zeros(len(numbers), bool), np.zeros(len(numbers), np.int64)
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return self.numbers[at] == numbers, at


class Seen:
    """Numbers that were seen, in pages of which most are not there where numbers are far from each other."""

    def __init__(self) -> None:
        self._pages: dict[int, np.ndarray] = {}

    def add(self, numbers: np.ndarray) -> int:
        """Add numbers, ascending and each once. Returns how many were not seen before."""
        new, pages = 0, numbers >> _PAGE_BITS
        heads = np.flatnonzero(np.diff(pages, prepend=-1)).tolist()
        for a, b in pairwise([*heads, len(numbers)]):
            page = self._pages.setdefault(int(pages[a]), np.zeros(1 << _PAGE_BITS, bool))
            within = numbers[a:b] & ((1 << _PAGE_BITS) - 1)
            new += int(np.count_nonzero(~page[within]))
            page[within] = True
        return new

    def has_any(self, numbers: np.ndarray) -> bool:
        """Whether some of these were seen."""
        mask = (1 << _PAGE_BITS) - 1
        pages = (
            (self._pages.get(page), numbers[numbers >> _PAGE_BITS == page])
            for page in set((numbers >> _PAGE_BITS).tolist())
        )
        return any(page is not None and bool(page[some & mask].any()) for page, some in pages)
