"""How channels are displayed: the part `omero` of the metadata of an image, which viewers read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from gpuzarr.checks import iterated, shown
from gpuzarr.errors import ArgumentError

COLORS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")  # of channels that say none; one alone is white
WINDOW = ("min", "max", "start", "end")


def omero_document(given: Any, channels: int, dtype: np.dtype) -> dict[str, Any] | None:
    """The part `omero` for an image of so many channels; None for none.

    `given`: a dict with a list `channels`, or that list. A channel is a dict of `label`, `color` ("rrggbb"), `window`
    and what else OMERO knows, or a label alone. A window has the range of values that can be (`min`, `max`) and the one
    that is shown (`start`, `end`); what is missing of it is the range of the dtype, or 0 to 1 for floats.
    """
    if given is None:
        return None
    whole = dict(given) if isinstance(given, Mapping) else {"channels": given}
    members = list(iterated(whole.get("channels"), "omero has a list of channels"))
    if len(members) != channels:
        raise ArgumentError(f"omero has {len(members)} channels, the image has {channels}")
    whole["channels"] = [_channel(each, i, channels, dtype) for i, each in enumerate(members)]
    return whole


def _channel(given: Any, index: int, count: int, dtype: np.dtype) -> dict[str, Any]:
    where = f"omero.channels[{index}]"
    channel = {"label": given} if isinstance(given, str) else given
    if not isinstance(channel, Mapping):
        raise ArgumentError(f"{where} is a dict or a label, not {shown(given)}")
    color = channel.get("color", "FFFFFF" if count == 1 else COLORS[index % len(COLORS)])
    if not isinstance(color, str) or not re.fullmatch(r"#?[0-9a-fA-F]{6}", color):
        raise ArgumentError(f"{where}.color is six hexadecimal digits, such as '00FF00', not {shown(color)}")
    for name, kind in (("label", str), ("family", str), ("active", bool)):
        if name in channel and not isinstance(channel[name], kind):
            raise ArgumentError(f"{where}.{name} is of type {kind.__name__}, not {shown(channel[name])}")
    told = {"active": True} | dict(channel)
    return told | {"color": color.removeprefix("#"), "window": _window(channel.get("window"), where, dtype)}


def _window(given: Any, where: str, dtype: np.dtype) -> dict[str, float]:
    window = {} if given is None else given
    if not isinstance(window, Mapping):  # (start, end)
        pair = list(iterated(window, f"{where}.window is a dict of {', '.join(WINDOW)}, or a pair"))
        if len(pair) != 2:
            raise ArgumentError(f"{where}.window is a pair of two values, not {shown(given)}")
        window = {"start": pair[0], "end": pair[1]}
    low, high = _range(dtype)
    low, high = window.get("min", low), window.get("max", high)
    found = {"min": low, "max": high, "start": window.get("start", low), "end": window.get("end", high)}
    for name, value in found.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not isfinite(value):
            raise ArgumentError(f"{where}.window.{name} is a finite number, not {shown(value)}")
    return {name: int(value) if float(value).is_integer() else float(value) for name, value in found.items()}


def _range(dtype: np.dtype) -> tuple[Any, Any]:
    """The least and the largest value of a dtype; 0 and 1 for booleans and floats."""
    if dtype.kind not in "iu":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)
