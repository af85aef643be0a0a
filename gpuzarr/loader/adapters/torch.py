"""A loader as an IterableDataset of PyTorch, whose items are whole batches: `Loader.as_torch`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpuzarr.errors import ArgumentError
from gpuzarr.loader.output import checked

if TYPE_CHECKING:
    from gpuzarr.loader.loader import Loader

Batch = dict[str, Any]


class BatchDataset:
    """An IterableDataset (of those that have registered, without inheritance) of a loader's batches, as tensors."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __reduce__(self) -> tuple[Any, ...]:
        return as_torch, (self.loader,)

    def __iter__(self) -> Iteration:
        _check_process()
        return Iteration(self.loader)

    def __len__(self) -> int:
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """As the loader's."""
        self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """As the loader's: what was handed over counts, not what was read ahead."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As the loader's. The next iteration begins there."""
        self.loader.load_state_dict(state)


class Iteration:
    """Iterates over an epoch that begins with the first batch: StatefulDataLoader makes iterators that it never uses,
    and one of the loader's takes the position that was loaded."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._batches: Iterator[Batch] | None = None

    def __iter__(self) -> Iteration:
        return self

    def __next__(self) -> Batch:
        if self._batches is None:
            self._batches = self._loader.iterate("torch")
        return next(self._batches)


def as_torch(loader: Loader) -> Any:
    """The loader as an IterableDataset. ArgumentError, DeviceError as for a loader with to="torch"."""
    checked("torch", loader.views)
    from torch.utils.data import IterableDataset

    IterableDataset.register(BatchDataset)
    return BatchDataset(loader)


def _check_process() -> None:
    """ArgumentError in a worker process of a DataLoader, each of which would read the whole epoch."""
    from torch.utils.data import get_worker_info

    if (worker := get_worker_info()) is not None:
        raise ArgumentError(
            f"a loader was given to a DataLoader with num_workers={worker.num_workers}: give num_workers=0. Its own "
            "threads read and decode ahead, and each worker process would read every sample again; for worker "
            "processes there is as_dataset()"
        )
