"""What becomes of a block before it is written: converted as it is, cut to its core, or blended with its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, ValueKindError
from gpuzarr.indexing.flip import flipped
from gpuzarr.indexing.selection import Outer
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.inputs import as_value, on_device
from gpuzarr.nodes.missing import as_slices
from gpuzarr.pyramids.blend import Blend
from gpuzarr.pyramids.blocks import Blocks
from gpuzarr.pyramids.cascade import cell_shape
from gpuzarr.pyramids.cells import within
from gpuzarr.pyramids.convert import Conversion
from gpuzarr.pyramids.weights import Weights, weights
from gpuzarr.read.memory import bytes_text
from gpuzarr.write.coverage import Bounds, common, without

Check = Callable[[], None]  # raises ArgumentError for values that cannot be converted; it waits for the device


class Incoming(Protocol):
    """Takes blocks, and yields boxes of the array that are final by them, with their values, and a check or None."""

    @property
    def blocks(self) -> Blocks | None:
        """The plan of blocks; None if any box may come."""
        ...

    def take(self, elements: Outer, bounds: Bounds, value: Any) -> Iterator[tuple[Bounds, Any, Check | None]]:
        """Take the value of a selection, whose bounds these are."""
        ...

    def unfinished(self) -> str:
        """What did not come of blocks that overlap; "" if nothing is missing."""
        ...


def incoming(
    image: Any, owned: Sequence[Bounds], block: Any, halo: Any, blend: Any, how: dict[str, Any], max_bytes: int
) -> Incoming:
    """What a writer does with blocks, by the arguments of `Image.writer`. `owned`: the boxes that it writes.
    `max_bytes`: that sums of blocks may take."""
    level, argmax = image.levels[0], how["argmax"]
    needs = blend is not None or any(value is not None for value in how.values())
    how = how | {"to": level.dtype if how["to"] is None else how["to"]}
    if block is None:
        if halo is not None or blend is not None:
            raise ArgumentError("halo= and blend= need block=, the shape of blocks without their halo")
        return Boxes(level, tuple(owned), Conversion(**how) if needs else None)
    conversion = Conversion(**(how | {"argmax": None if argmax is None else 0})) if needs else None
    halo = 0 if halo is None else halo
    blocks = Blocks(level.shape, block, halo, [as_slices(box) for box in owned], is_cut=blend is None)
    if blend is None:
        return Cores(level, tuple(owned), conversion, argmax, blocks)
    return Blended(level, conversion, argmax, blocks, weights(blend, blocks), cell_of(image), max_bytes)


def cell_of(image: Any) -> tuple[int, ...]:
    """The shape of the cells of level 0."""
    window = image.factors[0] if image.factors else (1,) * image.levels[0].ndim
    return cell_shape(image.levels[0].layout, window)


@dataclass(frozen=True)
class Boxes:
    """Takes any box that this worker owns."""

    level: Array
    owned: tuple[Bounds, ...]
    conversion: Conversion | None
    blocks: None = None

    def take(self, elements: Outer, bounds: Bounds, value: Any) -> Iterator[tuple[Bounds, Any, Check | None]]:
        left = [bounds]
        for box in self.owned:
            left = [piece for one in left for piece in without(one, box)]
        if left:
            raise ArgumentError(
                f"{as_slices(bounds)} is not all in the regions of this worker: {as_slices(left[0])} is not"
            )
        level, check = self.level, None
        if self.conversion is not None:
            where = f"the values of {as_slices(bounds)}"
            value, check = self.conversion.apply(on_device(value, level.device), level.device, where)
        values = as_value(value, level.dtype, elements.shape, level.device, level.metadata.data_type)
        yield bounds, flipped(elements, level.device.xp.broadcast_to(values, elements.shape)), check

    def unfinished(self) -> str:
        return ""


@dataclass(frozen=True)
class Cores:
    """Takes blocks with a halo, and cuts it off."""

    level: Array
    owned: tuple[Bounds, ...]
    conversion: Conversion | None
    argmax: int | None
    blocks: Blocks

    def take(self, elements: Outer, bounds: Bounds, value: Any) -> Iterator[tuple[Bounds, Any, Check | None]]:
        core = self.blocks.core(numbered(self.blocks, bounds))
        values = block_values(self.level, elements, bounds, value, self.argmax)
        for box in self.owned:
            if (part := common(core, box)) is not None:
                yield part, *converted(self.conversion, values[(..., *within(part, bounds))], self.level, part)

    def unfinished(self) -> str:
        return ""


@dataclass
class Blended:
    """Takes blocks that overlap, and averages them with weights."""

    level: Array
    conversion: Conversion | None
    argmax: int | None
    blocks: Blocks
    weights: Weights
    cell: tuple[int, ...]
    max_bytes: int
    _blend: Blend | None = field(default=None, init=False)

    def take(self, elements: Outer, bounds: Bounds, value: Any) -> Iterator[tuple[Bounds, Any, Check | None]]:
        values = block_values(self.level, elements, bounds, value, self.argmax)
        if self._blend is None:
            self._blend = self._begin(values.shape[: values.ndim - len(bounds)], values.dtype)
        for box, averaged in self._blend.add(bounds, values):
            yield box, *converted(self.conversion, averaged, self.level, box)

    def _begin(self, extra: tuple[int, ...], dtype: Any) -> Blend:
        blend = Blend(self.blocks, self.weights, self.level.device, dtype, self.cell, extra)
        if (needed := blend.most_nbytes) > self.max_bytes:
            advice = "allow more, or take blocks and chunks that are shorter along the first axis"
            given = f"max_inflight is {bytes_text(self.max_bytes)}"
            raise ArgumentError(f"the sums of these blocks take up to {bytes_text(needed)}, and {given}: {advice}")
        return blend

    def unfinished(self) -> str:
        if self._blend is None:
            return f"none of {len(self.blocks)} blocks came" if len(self.blocks) else ""
        count, first = self._blend.unfinished()
        return (
            ""
            if first is None
            else f"{count} of {len(self.blocks)} blocks did not come, the first of them {as_slices(first)}"
        )


def converted(conversion: Conversion | None, values: Any, level: Array, box: Bounds) -> tuple[Any, Check | None]:
    """Values of a box as they are written, and what checks them."""
    if conversion is None:
        return values, None
    return conversion.apply(values, level.device, f"the values of {as_slices(box)}")


def numbered(blocks: Blocks, bounds: Bounds) -> int:
    """The number of a block. ArgumentError if there is none with these bounds."""
    number = blocks.number(bounds)
    if number is None:
        raise ArgumentError(f"{as_slices(bounds)} is not a block of this writer, whose `blocks` lists them")
    return number


def block_values(level: Array, elements: Outer, bounds: Bounds, value: Any, argmax: int | None) -> Any:
    """The values of a block on the device, with all axes of the array; an axis for `argmax` comes first."""
    values = on_device(value, level.device)
    extra = 0 if argmax is None else 1
    if argmax is not None:
        if not -values.ndim <= argmax < values.ndim:
            raise ArgumentError(f"argmax={argmax} is no axis of a block of shape {values.shape}")
        values = level.device.xp.moveaxis(values, argmax, 0)
    if values.shape[extra:] != elements.shape or any(i.step < 0 for i in elements.axes if isinstance(i, range)):
        raise ValueKindError(f"a block of shape {shown(values.shape)}, expected {elements.shape}")
    return values.reshape((*values.shape[:extra], *(b - a for a, b in bounds)))
