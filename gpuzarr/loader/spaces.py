"""The space of samples that the arguments of a loader mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import prod
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.alignment import Scale
from gpuzarr.loader.balance import BalancedSpace
from gpuzarr.loader.columns import Arrays, Column
from gpuzarr.loader.contract import Space
from gpuzarr.loader.domains import Box, domains
from gpuzarr.loader.grids import Domains, GridSpace, RandomSpace
from gpuzarr.loader.ground import Balance
from gpuzarr.loader.samples import Patch, Rows
from gpuzarr.loader.settings import Settings
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.many import same_arrays

MAX_TEXT = 120  # characters of a text of a geometry; of longer ones there is a digest


def space_of(
    arrays: Arrays, columns: Sequence[Column], sample: Patch | Rows, found: Sequence[Sequence[Box]], settings: Settings
) -> Space:
    """The samples that lie in these boxes of each store."""
    block = None if settings.shuffle is None else settings.shuffle.block
    all_of_them = domains(arrays, columns, sample, found, block)
    geometry = _geometry(columns, sample, found, all_of_them, settings)
    if not isinstance(sample, Patch) or not sample.is_random:
        return GridSpace(all_of_them, geometry)
    samples = sample.samples or _enough(columns, all_of_them)
    geometry["samples"] = str(samples)
    if sample.balance is None:
        return RandomSpace(all_of_them, samples, settings.seed, geometry)
    shape = tuple(column.size for column in columns)
    balances = _balances(arrays, columns, sample.balance)
    return BalancedSpace.of(all_of_them, shape, balances, sample.classes, samples, settings.seed, geometry)


def _enough(columns: Sequence[Column], all_of_them: Domains) -> int:
    """As many patches as are as large as all domains."""
    size = prod(column.size for column in columns)
    volume = 0
    for domain in all_of_them.all:
        along = zip(columns, domain.start, domain.stop, domain.axes, strict=True)
        volume += prod(stop - start if column.is_patch else axis.count for column, start, stop, axis in along)
    return -(-volume // size)


def _balances(arrays: Arrays, columns: Sequence[Column], given: Any) -> list[Balance]:
    """The balance array of each store."""
    found = list(given) if isinstance(given, list | tuple) else [given]
    for array in found:
        if not isinstance(array, Array):
            raise ArgumentError(f"Patch(balance=...) takes a gpuzarr.Array, or a list of them, not {shown(array)}")
    if len(found) != (stores := len(next(iter(arrays.values())))):
        raise ArgumentError(f"Patch(balance=...) has {len(found)} arrays, but there are {stores} stores")
    return [_balance_of(arrays, columns, array, store) for store, array in enumerate(found)]


def _balance_of(arrays: Arrays, columns: Sequence[Column], array: Array, store: int) -> Balance:
    """The axes of a balance array along those of samples, and where its elements lie: those of an array of the loader,
    which it is, or is as large as."""
    same = same_arrays([array, *(each[store] for each in arrays.values())])
    names = [name for name, each in arrays.items() if same[id(each[store])] is array]
    names += [name for name, each in arrays.items() if _is_as_large(array, each[store], name, columns)]
    if not names:
        raise ArgumentError(
            f"Patch(balance=...) of shape {array.shape} is none of the loader's arrays, and not as large as one of "
            "them along the axes of the patch: add it to these, with its spacing"
        )
    before = arrays[names[0]][store].ndim - array.ndim
    axes = tuple(column.axes[names[0]] - before for column in columns)
    return Balance(array, axes, tuple(column.scales[names[0]] for column in columns))


def _is_as_large(balance: Array, array: Array, name: str, columns: Sequence[Column]) -> bool:
    """Whether it is as large along the axes of samples, which are at the same place counted from the last."""
    places = [column.axes[name] - array.ndim for column in columns]
    return all(-place <= balance.ndim and balance.shape[place] == array.shape[place] for place in places)


def _geometry(
    columns: Sequence[Column],
    sample: Patch | Rows,
    found: Sequence[Sequence[Box]],
    all_of_them: Domains,
    settings: Settings,
) -> dict[str, str]:
    """What decides about the order and the origins of samples."""
    bounds = (bound.tobytes() for domain in all_of_them.all for bound in domain.bounds)
    blocks = int(all_of_them.ends[-1]) if len(all_of_them.ends) else 0
    scales = {name: [f"{one.size} at {one.shift}" for one in each] for name, each in _scales(columns).items()}
    rows = [(column.before, column.after) for column in columns if not column.is_patch]
    return {
        "sample": _told(sample),
        "regions": _short(str([list(of_store) for of_store in found])),
        "blocks": f"{blocks} ({_digest(bounds)})",
        "window": "none" if settings.window is None else f"rows before and after: {rows}",
        "spacing": "none" if settings.spacing is None and settings.translation is None else _short(str(scales)),
    }


def _scales(columns: Sequence[Column]) -> Mapping[str, list[Scale]]:
    return {name: [column.scales[name] for column in columns] for name in columns[0].axes}


def _told(sample: Patch | Rows) -> str:
    """A sample as text, without what does not decide about its places."""
    if isinstance(sample, Rows):
        return f"Rows(axis={sample.axis!r}, stride={sample.stride})"
    terms = f"stride={sample.stride!r}, edge={sample.edge!r}, pad={sample.pad}, axes={sample.axes}"
    return f"Patch({sample.shape}, {terms})"


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else _digest([text.encode()])


def _digest(parts: Iterable[bytes]) -> str:
    found = blake2b(digest_size=8)
    for part in parts:
        found.update(part)
    return found.hexdigest()
