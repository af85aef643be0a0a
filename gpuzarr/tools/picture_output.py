"""Pictures as PNG files, and as text of a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gpuzarr.errors import ArgumentError
from gpuzarr.tools.picture_colours import brightness

RAMP = " .:-=+*#%@"  # from dark to bright
RESET = "\x1b[0m"
HALF_BLOCK = "▀"  # its colour is that of the upper pixel, the background that of the lower one
GREYS = 24  # of a terminal of 256 colours: 232 to 255
CUBE = 6  # shades of red, green and blue of a terminal of 256 colours: 16 to 231


def save_png(pixels: np.ndarray, file: str | Path) -> None:
    """Write a picture to a PNG file, by Pillow.

    Parameters
    ----------
    pixels
        uint8 (height, width, 3 or 4): red, green, blue, and alpha.
    file
        The path of the file. One that exists is replaced.

    Raises
    ------
    ArgumentError
        Pillow is not installed.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(100).reshape(10, 10))
    >>> gpuzarr.tools.save_png(gpuzarr.tools.picture(a).pixels, "a.png")
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError("a PNG needs Pillow: pip install 'gpuzarr[tools]'") from error
    Image.fromarray(pixels).save(file, format="PNG")


def colour_count() -> int:
    """The number of colours that a terminal says it has: 2**24 or 256."""
    return 1 << 24 if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") else 256


def half_blocks(pixels: np.ndarray, colours: int = 1 << 24) -> Iterator[str]:
    """Pixels as lines for a terminal with colours: two rows a line. Alpha is over black."""
    rgb = _opaque(pixels)
    if len(rgb) % 2:
        rgb = np.concatenate([rgb, np.zeros_like(rgb[:1])])
    code = _exact if colours > 256 else _one_of_256
    for upper, lower in zip(rgb[::2], rgb[1::2], strict=True):
        yield (
            "".join(
                f"\x1b[38;{code(top)};48;{code(bottom)}m{HALF_BLOCK}"
                for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True)
            )
            + RESET
        )


def characters(pixels: np.ndarray) -> Iterator[str]:
    """Pixels as lines of text without colours: two rows a line, a character for their brightness."""
    bright = brightness(_opaque(pixels))
    if len(bright) % 2:
        bright = np.concatenate([bright, bright[-1:]])
    levels = ((bright[::2] + bright[1::2]) / 2 * len(RAMP) / 256).astype(int)
    yield from ("".join(RAMP[level] for level in row).rstrip() for row in levels.tolist())


def _opaque(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] == 3:
        return pixels
    return (pixels[..., :3] * (pixels[..., 3:] / 255)).round().astype(np.uint8)


def _exact(rgb: list[int]) -> str:
    return "2;{};{};{}".format(*rgb)


def _one_of_256(rgb: list[int]) -> str:
    red, green, blue = rgb
    if red == green == blue:
        return f"5;{232 + red * GREYS // 256}"
    shades = [value * CUBE // 256 for value in rgb]
    return f"5;{16 + CUBE * CUBE * shades[0] + CUBE * shades[1] + shades[2]}"
