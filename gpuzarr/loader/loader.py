"""The class that users have: samples of arrays in batches, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from gpuzarr.checks import number
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.batches.batches import Batches
from gpuzarr.loader.batches.feed import Terms
from gpuzarr.loader.epoch import Epoch, Place
from gpuzarr.loader.order.epoch_order import EpochOrder
from gpuzarr.loader.output import checked
from gpuzarr.loader.plan import LoaderPlan, fitting, planned, warn_of_none
from gpuzarr.loader.processes import check_process, warn_of_ranks
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.inputs import parsed
from gpuzarr.loader.space.split_boxes import domains
from gpuzarr.loader.state import loaded, state
from gpuzarr.per_process import PROCESS
from gpuzarr.progress import bar

if TYPE_CHECKING:
    from gpuzarr.loader.batches.report import EpochReport
    from gpuzarr.loader.order.shuffle import BlockShuffle
    from gpuzarr.loader.space.samples import Part, Patch, Rows


class Loader:
    """Iterates over batches of samples of Zarr arrays, for training: a chunk is decoded once while it is needed.

    An epoch is every sample once, in an order that depends on the seed, the epoch and the geometry alone. Samples are
    cut from decoded chunks that are held in the memory of the arrays' device, and cast and normalised on their way.
    Other threads of this process read ahead, so there are no worker processes.

    Parameters
    ----------
    arrays
        A dict of names and arrays; or of names and lists of arrays, one for each store of a data set of many (subjects,
        years). Any array that gpuzarr reads.
    batch_size
        Samples in a batch of this rank.
    sample
        "rows": `a[i]` for each i; a `gpuzarr.Rows`, or a `gpuzarr.Patch`, which says how patches are taken.
    window
        Offsets of the rows in a sample, such as `[-1, 0, 1, 4]`; or a dict of them, by name. Samples that would need
        rows before the first or after the last one are left out.
    shuffle
        False: in the order of the arrays, block by block. True: `gpuzarr.BlockShuffle()`; or one of your own.
    seed
        An integer from which the order of all epochs follows.
    rank, world_size
        The number of this process, and of all processes. Each gets the same number of batches, and together they get
        every sample once. Processes that read parts of the same samples (`part`) have the same rank.
    drop_last
        Whether to leave out the last samples, where they do not fill a batch for every rank.
    dtype
        The dtype of the batch: one for all arrays of floats, and those that `normalize` makes floats; or a dict, by
        name, also for integers.
    normalize
        A dict of name and (mean, standard deviation), as `gpuzarr.stats(a).normalize` has them: values become (value -
        mean) / std. Numbers, or arrays that broadcast against the array (such as one number for each channel), of
        length 1 along the axes from which samples are taken.
    fill_to_nan
        True: elements that equal the fill value become NaN, in arrays that are, or become, floats. A number: elements
        that equal it. Or a dict of these, by name.
    spacing, translation
        Dicts of name and, for each axis of a patch, the physical size of an element, and the place at which the first
        one begins: patches of arrays with different voxel sizes then cover the same physical box.
    part
        The part of each sample that this process reads, a `gpuzarr.Part`. Default: all of it.
    origins
        Whether a batch has "origins", too: int64 (n, 1 + axes) of NumPy, the number of each sample's store, and its
        first element in the first array.
    to
        "numpy", "cupy", "torch" or "jax": whose arrays batches have. Default: those of the arrays' device.
    prefetch
        Batches that are prepared ahead, beyond the one that the caller has.
    memory_limit
        Bytes (an int, or a text such as "4GiB") that held chunks and batches may take. Default: enough for the batches
        and three windows of chunks (at least 1 GiB), but at most half of the free memory.
    on_error
        Where a chunk cannot be read: "raise" its error in the place of the batch, after which the next batch can be
        had; "skip" the samples that touch it; or "fill" its elements with the fill value. `last_epoch` tells of it.
    progress
        Whether to show a progress bar: of `tqdm`, where it is installed.

    Raises
    ------
    ArgumentError
        An argument is wrong, arrays do not fit together, or one window of blocks does not fit the memory limit.

    Examples
    --------
    >>> x = gpuzarr.array(np.arange(20).reshape(10, 2), chunks=(4, 2))
    >>> y = gpuzarr.array(np.arange(10), chunks=5)
    >>> loader = gpuzarr.Loader({"x": x, "y": y}, batch_size=4, shuffle=True, seed=1)
    >>> for batch in loader:
    ...     print(batch["x"].shape, bool((batch["x"][:, 0] == 2 * batch["y"]).all()))
    (4, 2) True
    (4, 2) True
    (2, 2) True
    >>> len(loader), loader.epoch
    (3, 1)
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        batch_size: int = 1,
        *,
        sample: Literal["rows"] | Rows | Patch = "rows",
        window: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
        shuffle: bool | BlockShuffle = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        dtype: Any = None,
        normalize: Mapping[str, tuple[Any, Any]] | None = None,
        fill_to_nan: Any = None,
        spacing: Mapping[str, Sequence[float]] | None = None,
        translation: Mapping[str, Sequence[float]] | None = None,
        part: Part | None = None,
        origins: bool = False,
        to: Literal["numpy", "cupy", "torch", "jax"] | None = None,
        prefetch: int = 2,
        memory_limit: int | str | None = None,
        on_error: Literal["raise", "skip", "fill"] = "raise",
        progress: bool = False,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}  # `Settings` has a field for each
        self._begin(Settings.of(**given))

    def _begin(self, settings: Settings) -> None:
        self.settings = settings
        self.space, self.views = parsed(settings)
        checked(settings.to, self.views)
        self._place, self._process = Place(), PROCESS.value
        self._running: weakref.ref[Epoch] | None = None
        self._report: EpochReport | None = None
        self._held_limit = self._planned_limit() if self.space.is_known else None

    @classmethod
    def _of(cls, settings: Settings) -> Loader:
        made = cls.__new__(cls)
        made._begin(settings)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.settings, self.state_dict())

    def __repr__(self) -> str:
        of = "" if self.settings.world_size == 1 else f", rank {self.settings.rank} of {self.settings.world_size}"
        names = ", ".join(f"{view.name} {view.dtype} {view.shape}" for view in self.views)
        return f"<gpuzarr.Loader of {names}; batches of {self.settings.batch_size}{of}>"

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        return self.order(self.epoch).count()

    def __getitem__(self, index: Any) -> Any:
        """Refused, with what to use instead: a `DataLoader` of PyTorch that is given a loader as it is comes here."""
        raise TypeError(
            "a gpuzarr.Loader has batches, not items: iterate over it; give a DataLoader loader.as_torch() with "
            "batch_size=None, or loader.as_dataset()[i] for single samples"
        )

    def __iter__(self) -> Epoch:
        """Begin the epoch, or go on where `load_state_dict` has put it. After the last batch comes the next epoch."""
        return self.iterate(self.settings.to)

    def iterate(self, to: str | None) -> Epoch:
        """Iterate as `iter(loader)` does, with batches of another library's arrays than the loader's `to`.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3])}, batch_size=3)
        >>> [batch["x"].tolist() for batch in loader.iterate("numpy")]
        [[1, 2, 3]]
        """
        check_process(self._process, self._running is not None)
        warn_of_ranks(self.settings.world_size)
        settings, place = self.settings, self._place
        if to is not settings.to:
            settings = replace(settings, to=checked(to, self.views))
        self._place = place = Place(place.epoch, place.position if place.is_loaded else 0)
        order = self.order(place.epoch)
        if self._held_limit is None:  # planned once: no later epoch ends a training
            self._held_limit = self._planned_limit()
        terms = Terms(settings.prefetch, self._held_limit, settings.on_error)
        batches = Batches(order.steps(place.position), self.space, self.views, place.epoch, terms)
        self._report = batches.report
        shown = bar(order.count(place.position), f"epoch {place.epoch}", "batch") if settings.progress else None
        epoch = Epoch(batches, place, self.views, settings, shown)
        self._running = weakref.ref(epoch)
        return epoch

    @property
    def epoch(self) -> int:
        """The epoch that is under way, or begins next."""
        return self._place.epoch

    @property
    def last_epoch(self) -> EpochReport | None:
        """What happened in the epoch that is under way, or else in the last one: batches, chunks, bytes, seconds, and
        what limited it. None before the first one."""
        return self._report

    def set_epoch(self, epoch: int) -> None:
        """Have the next iteration begin another epoch. The one at which a loaded state stands goes on where it was.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3])}, batch_size=3, shuffle=True)
        >>> loader.set_epoch(5)
        >>> loader.epoch
        5
        """
        epoch = number(epoch, "epoch", 0)
        if epoch != self._place.epoch or not self._place.is_loaded:
            self._place = Place(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The place behind the last batch that the caller has had: a small dict, for JSON, `pickle` or `torch.save`.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3, 4])}, batch_size=1)
        >>> batches = iter(loader)
        >>> next(batches)["x"]
        array([1])
        >>> saved = loader.state_dict()
        >>> saved["epoch"], saved["position"]
        (0, 1)
        """
        return state(self._place.epoch, self._place.position, self.settings.seed, self.geometry)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another loader of the same data was: the next iteration has the batches that it would have had.

        Batch size, rank and world size may differ: the samples of all ranks together go on in the same order.

        Raises
        ------
        ArgumentError
            The state is of another seed or geometry; the message names what differs.

        Examples
        --------
        >>> x = gpuzarr.array([1, 2, 3, 4])
        >>> first = gpuzarr.Loader({"x": x}, batch_size=1, shuffle=True)
        >>> batches = iter(first)
        >>> _ = next(batches)
        >>> second = gpuzarr.Loader({"x": x}, batch_size=1, shuffle=True)
        >>> second.load_state_dict(first.state_dict())
        >>> [int(batch["x"][0]) for batch in second] == [int(batch["x"][0]) for batch in batches]
        True
        """
        epoch, position = loaded(state_dict, self.settings.seed, self.geometry)
        samples = self.order(epoch).samples
        if position > samples:
            raise ArgumentError(f"the state has {position} samples done, of an epoch of {samples}")
        self._place = Place(epoch, position, is_loaded=True)

    def plan(self) -> LoaderPlan:
        """What an epoch will take, before anything is read: samples, batches, chunks, bytes in memory.

        Raises
        ------
        ArgumentError
            One window of blocks does not fit the memory limit.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array(np.zeros((8, 2)), chunks=(2, 2))}, batch_size=4)
        >>> loader.plan().batches, loader.plan().decoded_per_delivered
        (2, 1.0)
        """
        return fitting(planned(self.settings, self.space, self.views, self.order(self.epoch), self.epoch))

    def _planned_limit(self) -> int:
        """The bytes that chunks may take. ArgumentError where that is too little for a window."""
        warn_of_none(plan := self.plan(), self)
        return plan.held_limit

    def split(self, fractions: Sequence[float], gap: int = 0, axis: int = 0) -> list[Loader]:
        """Loaders of contiguous parts of the data, such as for training and validation, which share no element.

        Parameters
        ----------
        fractions
            What part of the data each has, along `axis`; their sum is at most 1. Parts end where chunks end.
        gap
            Elements of the first array that are left out between neighbouring parts.
        axis
            Of the axes along which samples are taken, the one that is cut; stores follow each other along it.

        Raises
        ------
        ArgumentError
            A part would have no sample.

        Notes
        -----
        Of random patches each part has as many in an epoch as `Patch(samples=...)` says.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array(np.arange(10), chunks=2)}, batch_size=8)
        >>> train, validation = loader.split([0.8, 0.2])
        >>> [batch["x"].tolist() for batch in validation]
        [[8, 9]]
        """
        settings = self.settings
        parts = domains(settings, fractions, gap, axis)
        return [Loader._of(replace(settings, domains=one)) for one in parts]

    def order(self, epoch: int) -> EpochOrder:
        """The order of the samples in an epoch."""
        s = self.settings
        counts = self.space.counts(epoch)
        return EpochOrder(counts, s.seed, epoch, s.shuffle, s.batch_size, s.rank, s.world_size, s.drop_last)

    @property
    def geometry(self) -> dict[str, str]:
        """What the order depends on beside the seed and the epoch, by name."""
        return {**self.space.geometry, "shuffle": str(self.settings.shuffle)}

    def as_torch(self) -> Any:
        """The batches as a `torch.utils.data.IterableDataset` of tensors: for a `DataLoader` with `batch_size=None` and
        `num_workers=0`, and for `StatefulDataLoader` of `torchdata`, which keeps its state.

        Examples
        --------
        >>> loader = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3])}, batch_size=3)
        >>> from torch.utils.data import DataLoader  # doctest: +SKIP
        >>> DataLoader(loader.as_torch(), batch_size=None)  # doctest: +SKIP
        """
        from gpuzarr.loader.adapters.torch import as_torch

        return as_torch(self)

    def as_dataset(self) -> Any:
        """The samples of the epoch one by one, in the loader's order: what has a length and takes indices, for a
        `DataLoader` with a sampler of its own, also in worker processes, and for `grain`.

        Indices that come together are read together, each chunk once; but nothing is held for the next ones, as it is
        where one iterates over the loader. Where samplers shuffle, give the loader `shuffle=False`.

        Examples
        --------
        >>> dataset = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3])}).as_dataset()
        >>> len(dataset), dataset[1]
        (3, {'x': np.int64(2)})
        """
        from gpuzarr.loader.adapters.dataset import Samples

        order = self.order(self.epoch)
        of = self.views, self.space, order.at, order.samples, self.epoch
        return Samples(*of, self.settings.to, self.settings.origins)

    def as_dali(self, names: Sequence[str] | None = None) -> Any:
        """A source for `nvidia.dali.fn.external_source`: tuples of the arrays of a batch, an epoch each time.

        Parameters
        ----------
        names
            Of the arrays, in the order of the outputs. Default: all.

        Examples
        --------
        >>> source = gpuzarr.Loader({"x": gpuzarr.array([1, 2, 3])}, batch_size=2).as_dali(["x"])
        >>> list(source)
        [(array([1, 2]),), (array([3]),)]
        """
        from gpuzarr.loader.adapters.dali import as_dali

        return as_dali(self, names, [view.name for view in self.views])

    def close(self) -> None:
        """End what is under way: its iteration raises ClosedError, and what was read ahead is freed."""
        running = None if self._running is None else self._running()
        if running is not None and self._process is PROCESS.value:
            running.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _unpickled(settings: Settings, state_dict: dict[str, Any]) -> Loader:
    loader = Loader._of(settings)
    loader.load_state_dict(state_dict)
    return loader
