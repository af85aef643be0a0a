"""The codec pipeline that zarr-python calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from zarr.abc.codec import CodecPipeline
from zarr.core.array import create_codec_pipeline
from zarr.core.codec_pipeline import BatchedCodecPipeline

from gpuzarr.errors import UnsupportedError
from gpuzarr.integrations.zarr_python import calls
from gpuzarr.integrations.zarr_python.arrays import Arrays
from gpuzarr.integrations.zarr_python.batches import Coords, Item
from gpuzarr.integrations.zarr_python.hop import on_thread
from gpuzarr.integrations.zarr_python.warning import warn_once
from gpuzarr.nodes.array import Array

T = TypeVar("T")
Call = Callable[[Array, Sequence[Item], Any, Coords], None]
STORED, MISSING = {"status": "present"}, {"status": "missing"}


class Pipeline(CodecPipeline):
    """Codec pipeline for zarr-python that reads and writes with this library.

    zarr-python makes one for each array that is opened while this is configured, by `gpuzarr.zarr.enable()` or by
    `zarr.config.set({"codec_pipeline.path": "gpuzarr.zarr.Pipeline"})`. All chunks of a selection are decoded, or
    encoded, as one batch: by threads, or on a GPU after `zarr.config.enable_gpu()`. What this library cannot do, and
    what fails in it, is done by zarr-python's own pipeline, with one warning that names the array and says why.

    Examples
    --------
    >>> import zarr
    >>> with gpuzarr.zarr.enable():
    ...     z = zarr.create_array({}, shape=(4, 6), chunks=(2, 3), dtype="int16")
    >>> z[:] = np.arange(24).reshape(4, 6)
    >>> z[1:3, ::2]
    array([[ 6,  8, 10],
           [12, 14, 16]], dtype=int16)
    """

    __module__ = "gpuzarr.zarr"  # by which zarr-python finds it

    def __init__(self, metadata: Any, store: Any) -> None:
        self.metadata, self.store = metadata, store
        self.default: Any = create_codec_pipeline(metadata)  # by `from_codecs`
        self._arrays = Arrays(metadata, store)

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Any) -> Pipeline:
        """A pipeline for an array of zarr-python in a store of zarr-python."""
        return cls(array_metadata, store)

    @classmethod
    def from_codecs(cls, codecs: Iterable[Any]) -> Any:
        """Return zarr-python's own pipeline: without metadata it is not known which array the codecs belong to."""
        return BatchedCodecPipeline.from_codecs(codecs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Pipeline, (self.metadata, self.store)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.default == other.default and self.store == other.store

    def __hash__(self) -> int:
        return hash(self.default)

    def __repr__(self) -> str:
        return f"<gpuzarr.zarr.Pipeline of {self.default!r}>"

    def __iter__(self) -> Iterator[Any]:
        yield from self.default

    # what zarr-python's own pipeline says and does

    def evolve_from_array_spec(self, array_spec: Any) -> Pipeline:
        """The same pipeline, which knows the array."""
        return self

    @property
    def supports_partial_decode(self) -> bool:
        """Whether parts of a chunk can be decoded."""
        return self.default.supports_partial_decode

    @property
    def supports_partial_encode(self) -> bool:
        """Whether parts of a chunk can be encoded."""
        return self.default.supports_partial_encode

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        """Raise an error if the codecs do not fit an array."""
        self.default.validate(shape=shape, dtype=dtype, chunk_grid=chunk_grid)

    def compute_encoded_size(self, byte_length: int, array_spec: Any) -> int:
        """Bytes of an encoded chunk of `byte_length` decoded bytes."""
        return self.default.compute_encoded_size(byte_length, array_spec)

    async def decode(self, chunk_bytes_and_specs: Iterable[Any]) -> Any:
        """Decode chunks that zarr-python holds."""
        return await self.default.decode(chunk_bytes_and_specs)

    async def encode(self, chunk_arrays_and_specs: Iterable[Any]) -> Any:
        """Encode chunks that zarr-python holds."""
        return await self.default.encode(chunk_arrays_and_specs)

    # what this library does

    async def read(self, batch_info: Iterable[Item], out: Any, drop_axes: Coords = ()) -> Any:
        """Read elements of chunks into `out`, an NDBuffer. Returns whether each chunk is stored."""
        batch = list(batch_info)
        if batch and (problem := await self._problem(calls.read, batch, out, drop_axes)) is not None:
            return await self._instead(self.default.read(batch, out, drop_axes), batch, problem)
        return await _statuses(batch)

    async def write(self, batch_info: Iterable[Item], value: Any, drop_axes: Coords = ()) -> None:
        """Write elements of `value`, an NDBuffer, to chunks."""
        batch = list(batch_info)
        if batch and self.store.read_only:
            await self.default.write(batch, value, drop_axes)  # which raises the error
        elif batch and (problem := await self._problem(calls.write, batch, value, drop_axes)) is not None:
            await self._instead(self.default.write(batch, value, drop_axes), batch, problem)

    async def _problem(self, call: Call, batch: Sequence[Item], values: Any, drop_axes: Coords) -> Exception | None:
        """Read or write what a batch asks for; the error if that cannot be done."""
        try:
            array_like = values.as_ndarray_like()
            if getattr(batch[0][0], "store", None) is not self.store:
                raise UnsupportedError("its chunks are not in its store")
            array = self._arrays.at(batch[0][0].path, array_like, asyncio.get_running_loop())
            await on_thread(partial(call, array, batch, array_like, drop_axes))
        except Exception as error:  # zarr-python's own pipeline tries it, and raises an error of its own
            return error
        return None

    async def _instead(self, work: Awaitable[T], batch: Sequence[Item], problem: Exception) -> T:
        """Have zarr-python do it. If that fails, too, its error is raised from this library's, which says more."""
        try:
            found = await work
        except Exception as error:
            raise error from problem
        where, why = f"{self.store!r} at {batch[0][0].path!r}", " ".join(str(problem).split())
        warn_once(where, why)
        return found


async def _statuses(batch: Sequence[Item]) -> tuple[dict[str, str], ...]:
    """Whether each chunk is stored. It is looked up only where missing chunks are errors: else nobody asks."""
    if not batch or getattr(batch[0][1].config, "read_missing_chunks", True):
        return (STORED,) * len(batch)
    are_there = await asyncio.gather(*(item[0].exists() for item in batch))
    return tuple(STORED if is_there else MISSING for is_there in are_there)
