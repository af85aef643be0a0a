"""The space of samples that the arguments of a loader mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import prod
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader import ground
from gpuzarr.loader.alignment import Scale
from gpuzarr.loader.balance import BalancedSpace, read_on_cpu
from gpuzarr.loader.classes import Classes
from gpuzarr.loader.columns import Arrays, Column
from gpuzarr.loader.contract import Space
from gpuzarr.loader.domains import Box, cuts_of, domains
from gpuzarr.loader.grids import Domains, GridSpace, RandomSpace
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
    if isinstance(sample, Patch) and sample.balance is not None:
        return _balanced(arrays, columns, sample, found, block, settings.seed)
    all_of_them = domains(arrays, columns, sample, found, block)
    geometry = _geometry(columns, sample, found, all_of_them, settings)
    if isinstance(sample, Patch) and sample.is_random:
        samples = sample.samples or _enough(columns, all_of_them)
        return RandomSpace(all_of_them, samples, settings.seed, {**geometry, "samples": str(samples)})
    return GridSpace(all_of_them, geometry)


def _enough(columns: Sequence[Column], all_of_them: Domains) -> int:
    """As many patches as are as large as all domains."""
    size = prod(column.size for column in columns)
    volume = 0
    for domain in all_of_them.all:
        along = zip(columns, domain.start, domain.stop, domain.axes, strict=True)
        volume += prod(stop - start if column.is_patch else axis.count for column, start, stop, axis in along)
    return -(-volume // size)


def _balanced(
    arrays: Arrays,
    columns: Sequence[Column],
    sample: Patch,
    found: Sequence[Sequence[Box]],
    block: Any,
    seed: int,
) -> Space:
    """Patches whose centres are drawn by a balance array of each store."""
    balance = _balance(sample.balance, len(found))
    made, sizes, grounds = domains(arrays, columns, sample, found, block), [], []
    for store, of_store in enumerate(found):
        if len(of_store) != 1:
            raise ArgumentError("Patch(balance=...) takes one region, not a list of several")
        along, scales = _of_balance(arrays, columns, balance[store], store)
        ends = [_ends(column, *span) for column, span in zip(columns, of_store[0], strict=True)]
        start, stop = zip(*ends, strict=True)
        grounds.append(ground.Ground(read_on_cpu(balance[store]), along, scales, start, stop))
        sizes.append([cut.size for cut in cuts_of(arrays, columns, store, block)])
    shape, steps = tuple(column.size for column in columns), tuple(column.lattice.step for column in columns)
    most = tuple(map(max, zip(*sizes, strict=True)))
    samples = sample.samples or _enough(columns, made)
    return BalancedSpace(grounds, shape, most, samples, seed, Classes.of(balance, sample.classes), steps)


def _ends(column: Column, start: int, stop: int) -> tuple[int, int]:
    """The elements that samples may have."""
    first = column.lattice.up(start - column.pad + column.before)
    return first, max(first, column.lattice.down(stop + column.pad - column.after))


def _balance(given: Any, stores: int) -> list[Array]:
    found = list(given) if isinstance(given, list | tuple) else [given]
    for array in found:
        if not isinstance(array, Array):
            raise ArgumentError(f"Patch(balance=...) takes a gpuzarr.Array, or a list of them, not {shown(array)}")
    if len(found) != stores:
        raise ArgumentError(f"Patch(balance=...) has {len(found)} arrays, but there are {stores} stores")
    return found


def _of_balance(
    arrays: Arrays, columns: Sequence[Column], balance: Array, store: int
) -> tuple[tuple[int, ...], tuple[ground.Scale, ...]]:
    """The axes of a balance array along those of samples, and where its elements lie: those of an array of the loader,
    which it is, or is as large as."""
    same = same_arrays([balance, *(each[store] for each in arrays.values())])
    of = next((name for name, each in arrays.items() if same[id(each[store])] is balance), None)
    if of is None:
        of = next((name for name, each in arrays.items() if _is_as_large(balance, each[store], name, columns)), None)
    if of is None:
        raise ArgumentError(
            f"Patch(balance=...) of shape {balance.shape} is none of the loader's arrays, and none of them has the same "
            "lengths along its last axes: add it to these, with its spacing"
        )
    before = arrays[of][store].ndim - balance.ndim
    scales = [column.scales[of] for column in columns]
    along = tuple(column.axes[of] - before for column in columns)
    return along, tuple(ground.Scale(float(scale.size), float(scale.shift)) for scale in scales)


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
