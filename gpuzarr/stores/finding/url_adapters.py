"""Adapters of other packages for parts of URL pipelines, and for schemes of URLs: entry points `zarr.url_adapters`.

An adapter is a class as `zarr.abc.url_pipeline.URLPipelineAdapter` describes it (zarr-python#4192): the coroutine
`open_pipeline_segment(segment, context)` returns an object with a `store` of zarr-python and a `path` in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from gpuzarr.errors import GpuZarrError, StoreError, StoreKindError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import urls
from gpuzarr.stores.finding.urls import Part, Pipeline
from gpuzarr.stores.path import below

GROUP = "zarr.url_adapters"


@dataclass(frozen=True)
class Context:
    """What an adapter is told of the parts before its own, with the names of zarr-python's `PipelineContext`."""

    preceding: tuple[Part, ...]
    storage_options: dict[str, Any] | None
    mode: str = "r"
    read_only: bool = True

    @property
    def preceding_url(self) -> str:
        """The parts before, as text."""
        return "|".join(part.raw for part in self.preceding)

    async def resolve_preceding(self, *, mode: Any = "r", storage_options: Any = None) -> Resolution:
        """A store of zarr-python for the part before, which must be a path or a URL."""
        if len(self.preceding) != 1:
            raise StoreKindError(f"{urls.shown(self.preceding_url)!r} is no single URL, as this adapter needs it")
        from zarr.storage import FsspecStore, LocalStore

        text = self.preceding[0].raw
        if urls.scheme(text) in (None, "file", "local"):
            return Resolution(await LocalStore.open(urls.path_of(text) or text, read_only=True))
        options = self.storage_options if storage_options is None else storage_options
        return Resolution(FsspecStore.from_url(text, storage_options=options, read_only=True))


@dataclass(frozen=True)
class Resolution:
    """A store of zarr-python and a path in it, with the names of its `AdapterResolution`."""

    store: Any
    path: str = ""
    zarr_format: int | None = None


def find(scheme: str) -> Any:
    """The entry point of an adapter for a scheme; None if there is none."""
    from importlib.metadata import entry_points  # slow to import

    return next(iter(entry_points(group=GROUP, name=scheme)), None)


def store_of(adapter: Any, pipeline: Pipeline, number: int, options: dict[str, Any]) -> Store:
    """The store that an adapter makes of part `number` of those after the first; of the first one for -1."""
    from gpuzarr.stores.zarr_python import store_of as of_zarr

    root = Part(urls.scheme(pipeline.root) or "", pipeline.root.partition(":")[2], None, pipeline.root)
    parts = (root, *pipeline.parts)
    context = Context(parts[: number + 1], options or None)
    try:
        found = _waited(adapter.load().open_pipeline_segment(parts[number + 1], context))
    except GpuZarrError:
        raise
    except Exception as error:
        what = f"{adapter.value!r}, an adapter of another package"
        raise StoreError(f"{what}, cannot open {urls.shown(pipeline.text)!r}: {error}") from error
    return below(of_zarr(found.store), found.path)


def _waited(coroutine: Any) -> Any:
    """What a coroutine returns, run in the loop of zarr-python, to which the stores that it makes belong."""
    try:
        from zarr.core.sync import sync
    except ImportError:
        return asyncio.run(coroutine)
    return sync(coroutine)
