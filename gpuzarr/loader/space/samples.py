"""What a sample is: rows along an axis, or patches; and the part of it that a process has. As users say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from gpuzarr.checks import number, one_of, shown
from gpuzarr.errors import ArgumentError

MAX_ELEMENTS = 1 << 40  # of a patch, a stride or padding along an axis
Region = tuple[slice, ...]


@dataclass(frozen=True)
class Patch:
    """Samples that are boxes of elements: `Loader(..., sample=Patch((16, 128, 128), stride="random"))`.

    All sizes are in elements of the first array of the loader. Axes that a patch does not name are taken whole, such as
    channels that come first.

    Parameters
    ----------
    shape
        Elements along the last axes of the arrays, or along `axes`; None for all of an axis.
    stride
        None: a grid of patches side by side. A number of elements from patch to patch, or one for each axis: a grid
        with overlaps or gaps. "random": patches at random places, all equally likely.
    samples
        The number of random patches in an epoch. Default: as many as have the volume of the region together.
    edge
        The last patches of a grid, which may reach beyond the end: "shift" moves them back, so that they fit; "pad"
        fills what lies beyond the array; "drop" leaves them out. "pad" is needed for patches larger than an array.
    pad
        Elements by which patches may reach beyond each end of the region: one number, or one for each axis. Where the
        array ends there, they are filled; where a region ends in an array, they are the array's.
    pad_mode
        What elements outside of the array are: "constant" (the fill value of the array, in the first store if there are
        several, cast as its elements are), or as `numpy.pad` has it: "edge", "reflect", "symmetric", "wrap".
    axes
        The axes of `shape`, as numbers or names of dimensions.
    region
        The elements in which patches lie: a slice for each axis of `shape` (with a `window`, there may be one more for
        the rows, in first place), or a list of such tuples, each a region of its own.
    balance
        An array that says where the centres of random patches are: of labels (integers; each label that occurs is at
        the centre equally often) or of weights (bools, floats). Or a list of arrays, one for each store. It may be
        coarser than the first array, and lack the axis of a window. It is read once, when samples are first needed.
    classes
        A dict of label and weight: which labels are centres, and how often. Default: all, equally often.

    Raises
    ------
    ArgumentError
        (a ValueError and a TypeError) for what means nothing by itself; the loader says what does not fit the arrays.

    Examples
    --------
    >>> x = gpuzarr.array(np.arange(10), chunks=4)
    >>> loader = gpuzarr.Loader({"x": x}, batch_size=3, sample=gpuzarr.Patch(4))
    >>> next(iter(loader))["x"]
    array([[0, 1, 2, 3],
           [4, 5, 6, 7],
           [6, 7, 8, 9]])
    >>> loader = gpuzarr.Loader({"x": x}, batch_size=3, sample=gpuzarr.Patch(4, edge="pad", pad_mode="reflect"))
    >>> next(iter(loader))["x"][2]
    array([8, 9, 8, 7])
    """

    shape: int | tuple[int | None, ...]
    _: KW_ONLY
    stride: int | tuple[int | None, ...] | Literal["random"] | None = None
    samples: int | None = None
    edge: Literal["shift", "pad", "drop"] = "shift"
    pad: int | tuple[int | None, ...] = 0
    pad_mode: Literal["constant", "edge", "reflect", "symmetric", "wrap"] = "constant"
    axes: int | str | tuple[int | str, ...] | None = None
    region: Any = None
    balance: Any = field(default=None, repr=False, compare=False)
    classes: Any = None

    def __post_init__(self) -> None:
        shape = _each(self.shape, "Patch(shape=...)", 1)
        if self.is_random and self.stride != "random":
            raise ArgumentError(f'Patch(stride=...) takes numbers of elements, or "random", not {shown(self.stride)}')
        one_of(self.edge, "Patch(edge=...)", "shift", "pad", "drop")
        one_of(self.pad_mode, "Patch(pad_mode=...)", "constant", "edge", "reflect", "symmetric", "wrap")
        if all(size is None for size in shape):
            raise ArgumentError("Patch(shape=...) needs a number of elements along at least one axis")
        checked: dict[str, Any] = {"shape": shape, "region": _regions(self.region, "Patch(region=...)")}
        if self.stride is not None and not self.is_random:
            checked["stride"] = _for_axes(_each(self.stride, "Patch(stride=...)", 1), shape, "stride")
        checked["pad"] = _for_axes(_each(self.pad, "Patch(pad=...)", 0), shape, "pad")
        if self.axes is not None:
            axes = self.axes if isinstance(self.axes, tuple | list) else (self.axes,)
            checked["axes"] = _for_axes(tuple(_axis(axis, "Patch(axes=...)") for axis in axes), shape, "axes")
        if self.samples is not None:
            checked["samples"] = number(self.samples, "Patch(samples=...)", 1)
        self._check_random()
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def is_random(self) -> bool:
        """Whether patches are at random places."""
        return isinstance(self.stride, str)

    def _check_random(self) -> None:
        if not self.is_random and (self.samples is not None or self.balance is not None):
            raise ArgumentError('Patch(samples=..., balance=...) are for random patches: give stride="random"')
        if self.classes is not None and self.balance is None:
            raise ArgumentError("Patch(classes=...) needs balance=, an array of labels")


@dataclass(frozen=True)
class Rows:
    """Samples that are rows: `a[i]` for each i, or what is at i along another axis.

    With a `window` a sample has several rows, and an axis for them in the place of that along which they are.

    Parameters
    ----------
    axis
        The axis along which samples are: a number, or the name of a dimension.
    stride
        Rows from sample to sample.
    region
        The rows that samples may have: a slice, or a list of slices, each a region of its own.

    Raises
    ------
    ArgumentError
        (a ValueError and a TypeError) for what means nothing by itself; the loader says what does not fit the arrays.

    Examples
    --------
    >>> x = gpuzarr.array(np.arange(12).reshape(2, 6))
    >>> loader = gpuzarr.Loader({"x": x}, batch_size=2, sample=gpuzarr.Rows(axis=1, stride=3))
    >>> next(iter(loader))["x"]
    array([[0, 6],
           [3, 9]])
    """

    axis: int | str = 0
    stride: int = 1
    region: Any = None

    def __post_init__(self) -> None:
        checked = {
            "axis": _axis(self.axis, "Rows(axis=...)"),
            "stride": number(self.stride, "Rows(stride=...)", 1, MAX_ELEMENTS),
            "region": _regions(self.region, "Rows(region=...)"),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Part:
    """The part of each sample that a process has, where several share one: `Loader(..., part=Part(-1, rank, 4))`.

    Parts are contiguous, and as `numpy.array_split` makes them. An array with other voxel sizes must have whole
    elements in them. Arrays that do not have the axis are whole in each part.

    Parameters
    ----------
    axis
        The axis of the first array's sample, as a number, or the name of a dimension.
    index, count
        Which part, from 0, of how many.

    Raises
    ------
    ArgumentError
        (a ValueError and a TypeError) for what means nothing by itself; the loader says what does not fit the arrays.

    Examples
    --------
    >>> x = gpuzarr.array(np.arange(12).reshape(2, 6))
    >>> loader = gpuzarr.Loader({"x": x}, batch_size=2, part=gpuzarr.Part(axis=-1, index=1, count=3))
    >>> next(iter(loader))["x"]
    array([[2, 3],
           [8, 9]])
    """

    axis: int | str
    index: int
    count: int

    def __post_init__(self) -> None:
        count = number(self.count, "Part(count=...)", 1)
        checked = {
            "axis": _axis(self.axis, "Part(axis=...)"),
            "index": number(self.index, "Part(index=...)", 0, count - 1),
            "count": count,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def _each(given: Any, name: str, low: int) -> tuple[int | None, ...]:
    """A number of elements, or several of them or None."""
    if not isinstance(given, tuple | list):
        return (number(given, name, low, MAX_ELEMENTS),)
    if not given:
        raise ArgumentError(f"{name} needs a number of elements along at least one axis")
    return tuple([None if size is None else number(size, name, low, MAX_ELEMENTS) for size in given])


def _for_axes(given: tuple[Any, ...], shape: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """One member for each of the shape; a single one is for all, but for axes."""
    if len(given) == 1 and name != "axes":
        return given * len(shape)
    if len(given) != len(shape):
        raise ArgumentError(f"Patch({name}=...) has {len(given)} members, but shape has {len(shape)}: {shown(given)}")
    return given


def _axis(given: Any, name: str) -> int | str:
    return given if isinstance(given, str) else number(given, name, -64, 63)


def _regions(given: Any, name: str) -> list[Region] | None:
    """The regions that are given: None, one, or a list of several."""
    if given is None:
        return None
    if isinstance(given, list) and not given:
        raise ArgumentError(f"{name} is an empty list: there would be no sample")
    return [_region(one, name) for one in (given if isinstance(given, list) else [given])]


def _region(given: Any, name: str) -> Region:
    region = (given,) if isinstance(given, slice) else given
    is_whole: Callable[[Any], bool] = lambda one: isinstance(one, slice) and one.step in (None, 1)  # noqa: E731
    if not isinstance(region, tuple) or not region or not all(map(is_whole, region)):
        raise ArgumentError(f"{name} takes slices of step 1, one for each axis, or a list of such, not {shown(given)}")
    for bound in (bound for one in region for bound in (one.start, one.stop) if bound is not None):
        number(bound, f"{name}: the bound of a slice", -(2**63))
    return region
