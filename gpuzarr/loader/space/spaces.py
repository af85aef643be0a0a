"""The space of samples that the arguments of a loader mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import prod

from gpuzarr.loader.balance.arrays import balances
from gpuzarr.loader.balance.balanced_space import BalancedSpace
from gpuzarr.loader.contract import Space
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.alignment import Scale
from gpuzarr.loader.space.columns import Arrays, Box, Column
from gpuzarr.loader.space.domains import domains
from gpuzarr.loader.space.grids import Domains, GridSpace, RandomSpace
from gpuzarr.loader.space.samples import Patch, Rows

MAX_TEXT = 120  # characters of a text of a geometry; of longer ones there is a digest


def space_of(
    arrays: Arrays, columns: Sequence[Column], sample: Patch | Rows, found: Sequence[Sequence[Box]], settings: Settings
) -> Space:
    """The samples that lie in these boxes of each store."""
    all_of_them = domains(arrays, columns, sample, found, settings.shuffle)
    geometry = _geometry(columns, sample, found, all_of_them, settings)
    if not isinstance(sample, Patch) or not sample.is_random:
        return GridSpace(all_of_them, geometry)
    samples = sample.samples or _enough(columns, all_of_them)
    geometry["samples"] = str(samples)
    if sample.balance is None:
        return RandomSpace(all_of_them, samples, settings.seed, geometry)
    shape = tuple(column.size for column in columns)
    of = balances(arrays, columns, sample.balance)
    geometry["balance"] = _short(str([(each.array.shape, each.axes, *map(_text, each.scales)) for each in of]))
    geometry["classes"] = "all" if sample.classes is None else _short(str(sample.classes))
    return BalancedSpace.of(all_of_them, shape, of, sample.classes, samples, settings.seed, geometry)


def _enough(columns: Sequence[Column], all_of_them: Domains) -> int:
    """As many patches as are as large as all domains."""
    size = prod(column.size for column in columns)
    volume = 0
    for domain in all_of_them.all:
        along = zip(columns, domain.start, domain.stop, domain.axes, strict=True)
        volume += prod(stop - start if column.is_patch else axis.count for column, start, stop, axis in along)
    return -(-volume // size)


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
    scales = {name: list(map(_text, each)) for name, each in _scales(columns).items()}
    are_one = all(scale.is_one for each in _scales(columns).values() for scale in each)
    rows = [(column.before, column.after) for column in columns if column.before or column.after]
    return {
        "sample": _told(columns, sample),
        "regions": _short(str([list(of_store) for of_store in found])),
        "blocks": f"{blocks} ({_digest(bounds)})",
        "window": f"rows before and after: {rows}" if rows else "none",
        "spacing": "none" if are_one else _short(str(scales)),
    }


def _text(scale: Scale) -> str:
    return f"{scale.size} at {scale.shift}"


def _scales(columns: Sequence[Column]) -> Mapping[str, list[Scale]]:
    return {name: [column.scales[name] for column in columns] for name in columns[0].axes}


def _told(columns: Sequence[Column], sample: Patch | Rows) -> str:
    """A sample as text, without what does not decide about its places; the same for all ways to say it."""
    of = columns if isinstance(sample, Rows) else [column for column in columns if column.is_patch]
    axes = tuple(next(iter(column.axes.values())) for column in of)
    stride = tuple(column.stride for column in of)
    if isinstance(sample, Rows):
        return f"Rows(axis={axes[0]}, stride={stride[0]})"
    shape, pad = (tuple(getattr(column, name) for column in of) for name in ("size", "pad"))
    terms = f"stride={'random' if sample.is_random else stride}, edge={sample.edge!r}, pad={pad}, axes={axes}"
    return f"Patch({shape}, {terms})"


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else _digest([text.encode()])


def _digest(parts: Iterable[bytes]) -> str:
    found = blake2b(digest_size=8)
    for part in parts:
        found.update(part)
    return found.hexdigest()
