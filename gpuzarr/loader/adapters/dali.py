"""A loader as a source of NVIDIA DALI's `fn.external_source`: `Loader.as_dali`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Batches:
    """Iterates over tuples of a loader's arrays, in the order of `names`; each `iter` is an epoch.

    DALI takes arrays of NumPy, and by `__cuda_array_interface__` those of a GPU; their first axis counts samples.
    """

    loader: Iterable[dict[str, Any]]
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return map(self._tuple, iter(self.loader))

    def _tuple(self, batch: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(batch[name] for name in self.names)


def as_dali(loader: Iterable[dict[str, Any]], names: Iterable[str] | None, known: Sequence[str]) -> Batches:
    """The loader as a source of tuples. `known`: the names of its arrays, which are the default of `names`."""
    chosen = tuple(known if names is None else iterated(names, "as_dali takes a list of names of arrays"))
    if not chosen or (wrong := [name for name in chosen if name not in known]):
        said = f"no array {shown(wrong[0])}" if chosen else "no names"
        raise ArgumentError(f"as_dali was given {said}: the loader has {', '.join(known)}")
    return Batches(loader, chosen)
