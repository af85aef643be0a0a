"""Make an array longer. What fails leaves the array as it was."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gpuzarr.errors import GpuZarrError
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.layout import layout
from gpuzarr.metadata import ArrayMetadata, Axis, RectilinearAxis, files
from gpuzarr.nodes.inputs import as_array, as_value
from gpuzarr.nodes.resize import Shape, appended, change_shape, name_of, take_back
from gpuzarr.nodes.writing import Writes, target_of
from gpuzarr.stores.contract import Sink


def append(array: Writes, data: Any, axis: int) -> Shape:
    """Write data behind the end of an array, and return its new shape. See `Array.append`."""
    with array.device.on(None):
        data = data if isinstance(getattr(data, "shape", None), tuple) else as_array(data, array.dtype)
        grow, place = appended(array.shape, tuple(data.shape), axis)
        values = as_value(data, array.dtype, tuple(data.shape), array.device, array.metadata.data_type)
        growth = Growth(array)
        try:
            made = change_shape(array.store, array.path, array.metadata, grow, growth.note)
            if any(new > old for new, old in zip(made.shape, array.shape, strict=True)):  # else by another thread
                array.renew(made)
            growth.write(made, select.basic(place(made.shape), made.shape), values)
        except BaseException:
            with suppress(GpuZarrError):  # what went wrong first is raised
                growth.undo()
            raise
        finally:
            growth.end()
    return made.shape


@dataclass
class Growth:
    """The metadata of an array before and after it grew, and the old document, ready to take its place again."""

    array: Writes
    old: ArrayMetadata | None = None
    made: ArrayMetadata | None = None
    spare: Sink | None = None

    def note(self, old: ArrayMetadata, made: ArrayMetadata) -> None:
        """Remember how to take it back."""
        self.end()
        spare = self.spare = self.array.store.create(files.key(self.array.path, name_of(old)))
        spare.write(files.dumps(old.document), 0)
        self.old, self.made = old, made

    def write(self, metadata: ArrayMetadata, elements: Any, values: Any) -> None:
        """Write to the array as it is with this metadata."""
        array = self.array
        target = replace(target_of(array), array_layout=layout(metadata, array.path), grows=True)
        array.write_values(elements, values, array.options.memory_limit, target=target)

    def undo(self) -> None:
        """Take back what was appended, also from the last chunks of the old shape; other chunks are deleted."""
        array = self.array
        if self.old is None or self.made is None or self.old.shape == self.made.shape:
            return
        if take_back(array.store, array.path, self.old, self.made, self._put_back, self._empty):
            array.renew(self.old)

    def end(self) -> None:
        """Discard the old document."""
        if self.spare is not None:
            self.spare.abort()

    def _put_back(self) -> None:
        spare, self.spare = self.spare, None
        assert spare is not None
        spare.commit()

    def _empty(self, now: ArrayMetadata, is_last: bool) -> None:
        """Write the fill value to what was added; if nobody has added more, only to chunks of the old shape."""
        assert self.old is not None and self.made is not None
        before, after = self.old.shape, self.made.shape
        axis = next(i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)
        now_layout = layout(now, self.array.path)
        end = min(_edge(now_layout.outer.axes[axis], before[axis]), after[axis]) if is_last else after[axis]
        added = [slice(length) for length in after]
        added[axis] = slice(before[axis], end)
        elements = select.basic(tuple(added), now.shape)
        value = as_value(now_layout.spec.fill_value, self.array.dtype, elements.shape, self.array.device)
        self.write(now, elements, value)


def _edge(axis: Axis, index: int) -> int:
    """The index at which the first chunk begins that has nothing before `index`."""
    if isinstance(axis, RectilinearAxis):
        return next((edge for edge in axis.edges if edge >= index), axis.length)
    return -(-index // axis.size) * axis.size
