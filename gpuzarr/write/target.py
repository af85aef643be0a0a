"""Where values are written, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import config as settings
from gpuzarr.checks import flag, options, shown
from gpuzarr.errors import CHUNK_FAULTS, ArgumentError
from gpuzarr.indexing.layout import Layout
from gpuzarr.stores.contract import Store

READ_OPTIONS = ("order", "sharding_coalesce_max_gap_bytes", "sharding_coalesce_max_bytes")  # in zarr-python's config


@dataclass(frozen=True)
class Writable:
    """How an array is written. `write_empty_chunks`: also store chunks that hold only the fill value.

    `safe`: chunks and shards that a selection covers in part are guarded while they are read, changed and written, so
    that several processes may write parts of the same one: by locks, or by conditional puts. Where the store has
    neither between processes, there is a warning. False: no other process or thread writes parts of them.
    """

    write_empty_chunks: bool = False
    safe: bool = True

    @classmethod
    def of(cls, config: Any) -> Writable:
        """Read a `config`: a dict, or zarr-python's ArrayConfig. What that says of reading is left out."""
        found = config.to_dict() if hasattr(config, "to_dict") else config
        given = options({} if found is None else found, "config")
        given = {name: value for name, value in given.items() if name not in READ_OPTIONS}
        if given.pop("read_missing_chunks", True) is not True:
            raise ArgumentError("config: a missing chunk is the fill value; read_missing_chunks=False is not supported")
        if unknown := sorted(given.keys() - {"write_empty_chunks", "safe"}):
            raise ArgumentError(f"config has 'write_empty_chunks' and 'safe', not {shown(unknown)}")
        given = {"write_empty_chunks": settings.get("array.write_empty_chunks")} | given
        return cls(**{name: flag(value, f"config: {name}") for name, value in given.items()})


@dataclass(frozen=True)
class Target:
    """An array as the write path knows it. `safe` and `write_empty_chunks`: see `Writable`.

    `grows`: others may have made the array longer meanwhile.
    """

    store: Store
    path: str
    array_layout: Layout
    safe: bool = True
    write_empty_chunks: bool = False
    grows: bool = False

    @property
    def keeps_beyond(self) -> bool:
        """True if elements of the last objects that lie beyond the end of the array stay what they are.

        An array that has shrunk has some, and they are seen when it grows again. As in zarr-python, a write keeps those
        of shards; a chunk without shards that is covered up to the end of the array is written without a look at it.
        """
        return self.grows or bool(self.array_layout.levels)

    @property
    def layout(self) -> Layout:
        """Objects, inner chunks and codecs as they are written: shards within shards are a codec."""
        return self.array_layout if len(self.array_layout.levels) < 2 else self.array_layout.outer

    @property
    def together(self) -> tuple[int, ...]:
        """Chunks of a shard along each axis; 0 where there are no shards."""
        return self.layout.per_object if self.layout.levels else (0,) * len(self.layout.axes)

    def locked(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the locks of these objects, if writes are safe."""
        return self.store.locked(keys) if self.safe else nullcontext()

    @contextmanager
    def blamed(self, coords: np.ndarray) -> Iterator[None]:
        """Raise a codec's error inside, which has an index into `coords` (n, ndim), as a ChunkError of that chunk."""
        try:
            yield
        except CHUNK_FAULTS as error:
            raise self.layout.chunk_error(error, coords, self.store, self.path) from error
