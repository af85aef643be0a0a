"""The journal of an array: which of its shards (chunks, where there are no shards) are done.

A shard of nothing but the fill value is no object of the store, so what is stored does not tell whether it was written.
The journal does. It is a hidden object beside the chunks, `.done.journal`, that several processes change, each for the
shards that it has completed; a shard is noted after it was put to its place, so one that is noted is there.

    {"journal_format": 1, "shape": [..], "grid": [..], "layout": .., "done": a bit for each shard in C order, from the
     highest bit of a byte on, compressed by zlib, in base64}

A journal of another shape or layout is no longer true, and counts as none.
"""

from __future__ import annotations

import json
import time
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import GpuZarrError, NoMemoryError
from gpuzarr.indexing.layout import Layout
from gpuzarr.interrupts import within
from gpuzarr.stores import versioned
from gpuzarr.stores.contract import Store
from gpuzarr.stores.hidden import JOURNAL
from gpuzarr.stores.keys import joined
from gpuzarr.stores.tries import tries
from gpuzarr.write.coverage import Bounds, Coverage
from gpuzarr.write.objects import bounds_of_object, objects_of
from gpuzarr.write.open_shards import OpenShards

FORMAT = 1
MAX_SHARDS = 1 << 28  # that one journal notes
SECONDS = 2.0  # between two writes of a journal


class Journal:
    """The shards of one array that are done: `done`, bool, in the shape of their grid.

    Made with what the store has; `save` adds what this process has noted since.
    """

    def __init__(self, store: Store, path: str, layout: Layout) -> None:
        self._store, self.key = store, joined(path, JOURNAL)
        self._shape, self._grid = [axis.length for axis in layout.axes], list(layout.grid(0))
        if prod([n or 1 for n in self._grid]) > MAX_SHARDS:
            raise NoMemoryError(f"{prod(self._grid)} shards are too many for the journal {self.key!r} of {store!r}")
        self._layout = sha256((layout.signature or "").encode()).hexdigest()[:32]
        found = self._bits(store.get(self.key))
        self.exists = found is not None
        self.done = np.zeros(self._grid, bool) if found is None else found
        self._new: list[tuple[int, ...]] = []

    def note(self, coords: tuple[int, ...]) -> None:
        """Note a shard, by its place in the grid of shards."""
        if not self.done[coords]:
            self.done[coords] = True
            self._new.append(coords)

    def save(self) -> None:
        """Write what was noted since the last time, beside what other processes have noted."""
        if self._new or not self.exists:
            within(self._store.locked([self.key]), self._save)

    def forget(self) -> None:
        """Delete the journal: then nothing is known to be done."""
        self._store.delete([self.key])
        self.done[...], self.exists = False, False
        self._new.clear()

    def _save(self, _: object) -> None:
        for _ in tries(lambda: f"{self.key!r} of {self._store!r}"):
            data, version = versioned.read(self._store, self.key)
            others = self._bits(data)
            if others is not None:
                self.done |= others
            if versioned.write(self._store, self.key, self._document(), version):
                self._new.clear()
                self.exists = True
                return

    def _document(self) -> bytes:
        bits = b64encode(zlib.compress(np.packbits(self.done).tobytes())).decode()
        return json.dumps({"journal_format": FORMAT, **self._of_array, "done": bits}).encode()

    @property
    def _of_array(self) -> dict[str, Any]:
        return {"shape": self._shape, "grid": self._grid, "layout": self._layout}

    def _bits(self, data: bytes | None) -> np.ndarray | None:
        """What a document says is done; None for one of another array, or that is damaged."""
        if data is None:
            return None
        count = prod(self._grid)
        try:
            said = json.loads(data)
            if said["journal_format"] != FORMAT or any(said[name] != fact for name, fact in self._of_array.items()):
                return None
            packed = zlib.decompressobj().decompress(b64decode(said["done"], validate=True), -(-count // 8) + 1)
        except (ValueError, TypeError, KeyError, RecursionError, zlib.error):
            return None
        if len(packed) != -(-count // 8):
            return None
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
        return bits.astype(bool).reshape(self._grid)


class Completed:
    """Notes in a journal the shards of which all elements were written, once they are in the store.

    `open_shards`: those that a writer fills; what is in them is not in the store yet.
    """

    def __init__(self, journal: Journal, layout: Layout, open_shards: OpenShards) -> None:
        self.journal, self._layout, self._open_shards = journal, layout, open_shards
        self._partial: dict[tuple[int, ...], Coverage] = {}
        self._full: set[tuple[int, ...]] = set()
        journal.save()  # from here on it says what is done, not what is stored: that may be a part
        self._saved = time.monotonic()

    def wrote(self, bounds: Bounds) -> None:
        """Note that a box of the array was written."""
        for coords, shared, is_whole in objects_of(self._layout, bounds):
            if not is_whole:
                covered = self._partial.get(coords)
                if covered is None:
                    covered = self._partial[coords] = Coverage(bounds_of_object(self._layout, coords))
                covered.add(shared)
                if covered.left:
                    continue
            self._partial.pop(coords, None)
            self._full.add(coords)
        self._settle()
        if time.monotonic() - self._saved >= SECONDS:
            self.save()

    def close(self) -> None:
        """Close the open shards, and write the journal."""
        self._open_shards.close()
        self.save()

    def abort(self) -> None:
        """Leave nothing of the open shards; what was noted by now stays done."""
        self._full.clear()  # shards that are no longer open may be lost
        self._open_shards.abort()
        with suppress(GpuZarrError):  # the error that ends the writer is raised
            self.journal.save()

    def save(self) -> None:
        """Write the journal, with what is in the store by now."""
        self._settle()
        self.journal.save()
        self._saved = time.monotonic()

    def _settle(self) -> None:
        """Note full shards that are no longer open."""
        is_open = len(self._open_shards) > 0
        for coords in list(self._full):
            if not (is_open and self._layout.outer.keys([coords])[0] in self._open_shards):
                self._full.discard(coords)
                self.journal.note(coords)
