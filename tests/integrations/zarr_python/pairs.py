"""The same array twice: one that zarr-python reads and writes by its own pipeline, the judge, and one by ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore, MemoryStore, WrapperStore

import gpuzarr.zarr

OWN = "zarr.core.codec_pipeline.BatchedCodecPipeline"
STORES = {  # how a new store of each kind is made in a folder
    "memory": lambda folder: MemoryStore(),
    "local": LocalStore,
    "wrapped": lambda folder: WrapperStore(LocalStore(folder)),
    "wrapped memory": lambda folder: WrapperStore(MemoryStore()),
}


def by_own() -> Any:
    """zarr-python's own pipeline is configured."""
    return zarr.config.set({"codec_pipeline.path": OWN})


@dataclass(frozen=True)
class Pair:
    """Two arrays with the same values, `theirs` and `ours`."""

    theirs: Any
    ours: Any

    @classmethod
    def of(cls, store: str, folder: Any, **options: Any) -> Pair:
        made = []
        for name, pipeline in {"theirs": by_own, "ours": gpuzarr.zarr.enable}.items():
            with pipeline():
                made.append(zarr.create_array(STORES[store](folder / name), **options))
        assert isinstance(made[1].async_array.codec_pipeline, gpuzarr.zarr.Pipeline)
        return cls(*made)

    def do(self, what: Any) -> Any:
        """Do the same with both. Both return the same or raise errors of the same kind, and hold the same values."""
        outcomes = [outcome(what, array) for array in (self.theirs, self.ours)]
        assert_same(*outcomes)
        assert_same(outcome(whole, self.theirs), outcome(whole, self.ours))
        return outcomes[1]

    def keys(self) -> tuple[set[str], set[str]]:
        """What each has in its store."""
        return keys(self.theirs), keys(self.ours)


def whole(array: Any) -> Any:
    return array[...]


def keys(array: Any) -> set[str]:
    async def listed() -> set[str]:
        return {key async for key in array.store.list()}

    return zarr.core.sync.sync(listed())


def outcome(what: Any, array: Any) -> Any:
    """What is returned, or the kind of the error."""
    try:
        return what(array)
    except Exception as error:
        return type(error)


def assert_same(theirs: Any, ours: Any) -> None:
    """The same values, bit for bit, of the same kind, dtype, shape and order of memory."""
    assert type(theirs) is type(ours), (theirs, ours)
    if not isinstance(theirs, np.ndarray | np.generic):
        assert theirs == ours
        return
    assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
    assert np.asarray(theirs).flags.f_contiguous == np.asarray(ours).flags.f_contiguous
    if theirs.dtype.kind in "OT":
        assert theirs.tolist() == ours.tolist()
    else:
        assert theirs.tobytes() == ours.tobytes()
