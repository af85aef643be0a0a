"""A loader as a source of NVIDIA DALI's `fn.external_source`: `Loader.as_dali`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Tuples:
    """Iterates over tuples of a loader's arrays, in the order of `names`; each `iter` is an epoch."""

    loader: Iterable[dict[str, Any]]
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return map(self._tuple, iter(self.loader))

    def _tuple(self, batch: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(batch[name] for name in self.names)


def as_dali(loader: Iterable[dict[str, Any]], names: Iterable[str] | None, known: Sequence[str]) -> Tuples:
    """The loader as a source of tuples. `known`: the names of its arrays, which are the default of `names`.

    `fn.external_source(source, num_outputs=len(names), batch=True, cycle="raise")`, with `device="gpu"` for arrays of a
    GPU, which DALI takes by `__cuda_array_interface__`. The first axis counts samples: `layout` names the others, and
    batches have at most the loader's `batch_size`, which must be no more than the pipeline's. The dtypes are bools,
    integers and floats of 16 to 64 bits. After StopIteration, `pipeline.reset()` begins another epoch. A pipeline takes
    batches ahead of those that come from it, and the loader's `state_dict` counts them.
    """
    chosen = tuple(known if names is None else iterated(names, "as_dali takes a list of names of arrays"))
    if not chosen or (wrong := [name for name in chosen if name not in known]):
        said = f"no array {shown(wrong[0])}" if chosen else "no names"
        raise ArgumentError(f"as_dali was given {said}: the loader has {', '.join(known)}")
    return Tuples(loader, chosen)
