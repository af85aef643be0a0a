"""Show values of an array: as text, as a picture, as a histogram, with min, max and mean.

SELECTION is what stands between the brackets of `a[...]`: ints, slices and an ellipsis. Add the brackets if it begins
with a minus: "[-1, ::2]". Of an OME-Zarr image, one level is shown, by default the finest.

A picture is a plane of the array: the last two axes, at the middle of those before them. Each pixel is an element; if a
plane is too large, a coarser level is shown, or every n-th element. Only what is shown is read.

Examples:

    gpuzarr show data.zarr/image "0, :10, :10"
    gpuzarr show scan.zarr --png scan.png --size 1024
    gpuzarr show scan.zarr --resolution 2.5 --picture
    gpuzarr show data.zarr/image 12 --picture --window 0 4000
    gpuzarr show data.zarr/image --histogram
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuzarr
from gpuzarr.cli.output import add_output, has_colours, is_terminal, key_values, line, print_json, wants_progress
from gpuzarr.cli.places import add_place, storage_options
from gpuzarr.dtypes.cast import is_float
from gpuzarr.errors import ArgumentError, NotFoundError
from gpuzarr.pyramids.image import Image
from gpuzarr.pyramids.opening import image_of

MAX_UNASKED_BYTES = 256 << 20  # of a selection whose min, max and mean are computed though nobody asked
HISTOGRAM_BINS = 16
BAR_LENGTH = 40  # of the longest bar of a histogram, in characters
MAX_NAMES = 12  # of members of a group that a message lists
PNG_PIXELS = 1024  # along each axis, of a picture whose size was not given


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("show", help="values as text, picture or histogram", description=__doc__)
    add_place(parser)
    help_ = "what stands between the brackets of a[...], such as '0, 10:20, ::2'; default: everything"
    parser.add_argument("selection", metavar="SELECTION", nargs="?", default="...", help=help_)
    parser.add_argument("--picture", action="store_true", help="show a picture in the terminal")
    parser.add_argument("--png", metavar="FILE", help="write a picture to a file")
    help_ = f"the most pixels along each axis; default: {PNG_PIXELS}, or what the terminal has room for"
    parser.add_argument("--size", metavar="PIXELS", type=int, help=help_)
    help_ = "the values shown as black and white; default: the 0.1 and 99.9 percentiles of the plane"
    parser.add_argument("--window", metavar=("BLACK", "WHITE"), nargs=2, type=float, help=help_)
    help_ = "grey, labels (a colour for each integer) or rgb (the last axis has the colours)"
    parser.add_argument("--colours", choices=("auto", "grey", "labels", "rgb"), default="auto", help=help_)
    which = parser.add_mutually_exclusive_group()
    help_ = "of an image, the coarsest level whose samples are at most this size, in the image's unit"
    which.add_argument("--resolution", metavar="SIZE", type=float, help=help_)
    which.add_argument(
        "--level", metavar="NUMBER", type=int, help="of an image, the level with this number; 0 is the finest"
    )
    parser.add_argument("--histogram", action="store_true", help="count elements by value, in bins; reads all of them")
    add_output(parser, progress=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what was asked for of the array at options.path."""
    from gpuzarr.tools.show_selection import parsed

    what, selection, facts = opened(options), parsed(options.selection), dict[str, Any]()
    if options.png is not None:
        facts |= save(what, selection, options)
    if options.picture:
        facts |= draw(what, selection, options)
    if options.histogram or not (options.png is not None or options.picture):
        facts |= show(what.arrays[what.level(options) or 0], selection, options)
    if options.json:
        print_json(facts)


@dataclass(frozen=True)
class Shown:
    """What is shown: the resolutions of an image, the finest first, or one array alone."""

    arrays: Sequence[gpuzarr.Array]
    axes: Sequence[str | None]
    image: Image | None = None

    def level(self, options: argparse.Namespace) -> int | None:
        """The number of the resolution that was asked for; None if none was. ArgumentError if there is none."""
        number: int | None = options.level
        if options.resolution is not None:
            if self.image is None:
                raise ArgumentError("--resolution is for OME-Zarr images, but this is an array")
            return self.image.level_index(options.resolution)
        if number is not None and not 0 <= number < len(self.arrays):
            raise ArgumentError(f"there is no level {number}: there are {len(self.arrays)}, and 0 is the finest")
        return number


def opened(options: argparse.Namespace) -> Shown:
    """The image at options.path, or the array that is there."""
    node = gpuzarr.open(options.path, mode="r", storage_options=storage_options(options))
    if isinstance(node, gpuzarr.Array):
        return Shown([node], node.dimension_names or (None,) * node.ndim)
    try:
        image = image_of(node)
    except NotFoundError as error:
        names = ", ".join(node.keys()[:MAX_NAMES]) or "nothing"
        raise ArgumentError(f"{error}; give the path of an array or an image: this group has {names}") from error
    return Shown(image.levels, image.axes, image)


def show(array: gpuzarr.Array, selection: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Print values or a histogram, and min, max and mean. With --json, return them."""
    facts, histogram = numbers(array, selection, options)
    if options.json:
        return {**facts, "histogram": histogram, "values": None if options.histogram else listed(array, selection)}
    if not options.histogram:
        for row in values(array, selection).splitlines():
            line(row)
    key_values({name: f"{value:g}" if isinstance(value, float) else value for name, value in facts.items()})
    if histogram is not None:
        for row in bars(histogram):
            line(row)
    return facts


def listed(array: gpuzarr.Array, selection: Any) -> Any:
    """The values as lists, times as text; None where they are too many to be printed."""
    from gpuzarr.tools.show_text import MAX_PRINTED_ELEMENTS, on_host

    if element_count(array, selection) > MAX_PRINTED_ELEMENTS:
        return None
    found = on_host(array, array[selection])
    return found.astype(str).tolist() if found.dtype.kind in "mM" else found.tolist()


def element_count(array: gpuzarr.Array, selection: Any) -> int:
    """The number of elements of a selection."""
    from gpuzarr.tools.show_selection import ranges

    return int(np.prod(ranges(selection, array.shape).shape, dtype=object))


def values(array: gpuzarr.Array, selection: Any) -> str:
    """The values as NumPy prints them, in lines that fit the terminal."""
    from gpuzarr.tools import values_text

    return values_text(array, selection, shutil.get_terminal_size().columns if is_terminal() else 75)


def numbers(
    array: gpuzarr.Array, selection: Any, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The facts about a selection, and its histogram, if it was asked for."""
    from gpuzarr.tools.show_selection import ranges

    wanted = ranges(selection, array.shape)
    size = element_count(array, selection)
    facts: dict[str, Any] = {
        "array": array.name,
        "of shape": array.shape,
        "shape": wanted.shape,
        "dtype": str(array.dtype),
    }
    if not options.histogram and (not _has_numbers(array.dtype) or size * array.dtype.itemsize > MAX_UNASKED_BYTES):
        return facts, None
    bins = HISTOGRAM_BINS if options.histogram else 0
    found = gpuzarr.stats(array, selection, bins=bins, progress=options.histogram and wants_progress(options))
    facts |= {"min": found.min, "max": found.max, "mean": found.mean, "NaN": found.nan_count or None}
    return facts, {"counts": found.histogram, "edges": found.edges} if options.histogram else None


def bars(histogram: dict[str, Any]) -> list[str]:
    """A histogram as text: the edges of each bin, a bar, the number of elements."""
    counts, edges = histogram["counts"].tolist(), [f"{edge:.6g}" for edge in histogram["edges"].tolist()]
    most, block = max(counts, default=0), "█" if is_terminal() else "#"
    width = max(map(len, edges), default=0)
    drawn = [block * -(-count * BAR_LENGTH // max(most, 1)) for count in counts]
    return [
        f"{first:>{width}} .. {last:>{width}}  {bar:<{BAR_LENGTH}}  {count:,}"
        for first, last, bar, count in zip(edges, edges[1:], drawn, counts, strict=False)
    ]


def save(what: Shown, selection: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Write a PNG, and say what is in it: with --json, as what is returned."""
    from gpuzarr.tools import save_png

    size = (options.size or PNG_PIXELS,) * 2
    level, found = pictured(what, selection, size, options)
    save_png(found.pixels, options.png)
    facts = {"file": options.png, **facts_of(level, found)}
    if not options.json:
        key_values(facts)
    return facts


def facts_of(level: gpuzarr.Array, found: Any) -> dict[str, Any]:
    """What a picture shows."""
    facts = {"of": level.name, "plane": plane_text(found.plane), "pixels": found.size}
    return facts | ({"black": found.window[0], "white": found.window[1]} if found.window else {})


def draw(what: Shown, selection: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Print a picture: in colours where the terminal has them, else of characters. With --json, only say what it is."""
    from gpuzarr.tools.picture_output import characters, colour_count, half_blocks

    columns, lines = shutil.get_terminal_size()
    size = (min(options.size or 2 * (lines - 3), 2 * (lines - 3)), min(options.size or columns, columns))
    level, found = pictured(what, selection, size, options)
    if options.json:
        return facts_of(level, found)
    rows = half_blocks(found.pixels, colour_count()) if has_colours() else characters(found.pixels)
    for row in rows:
        print(row)
    window = f", black {found.window[0]:g}, white {found.window[1]:g}" if found.window else ""
    line(f"{level.name} {plane_text(found.plane)}{window}")
    return {}


def pictured(
    what: Shown, selection: Any, size: tuple[int, int], options: argparse.Namespace
) -> tuple[gpuzarr.Array, Any]:
    """The array that is shown, and the picture of it: without a selection, of the finest resolution that fits."""
    from gpuzarr.tools import picture
    from gpuzarr.tools.picture_plane import fits

    number, arrays = what.level(options), what.arrays
    if number is None:
        is_whole = selection in ((), (...,))
        number = (
            next((i for i, array in enumerate(arrays) if fits(array, size, what.axes)), len(arrays) - 1)
            if is_whole
            else 0
        )
    is_labels = what.image is not None and what.image.is_labels
    colours: Any = "labels" if is_labels and options.colours == "auto" else options.colours
    window, array = options.window, arrays[number]
    return array, picture(array, selection, size=size, window=window, colours=colours, names=what.axes)


def plane_text(plane: Sequence[Any]) -> str:
    """The selection of a plane, as it stands between brackets."""
    parts = []
    for part in plane:
        if isinstance(part, slice):
            stop = "" if part.stop is None else part.stop
            parts.append(f"{part.start}:{stop}" + (f":{part.step}" if part.step != 1 else ""))
        else:
            parts.append(str(part))
    return f"[{', '.join(parts)}]"


def _has_numbers(dtype: np.dtype) -> bool:
    """Whether elements are real numbers, of which `gpuzarr.stats` tells."""
    return dtype.kind in "biu" or is_float(dtype)
