"""What the metadata of an image says of the method by which its levels were reduced, and how to say it.

OME-NGFF has two places: `type`, a name; and `metadata`, whose members are the function that was called, the version of
its library, and its arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuzarr.checks import one_of, shown
from gpuzarr.creation import dtype_of
from gpuzarr.errors import ArgumentError
from gpuzarr.pyramids.downsample import METHODS
from gpuzarr.pyramids.levels import Factors
from gpuzarr.pyramids.metadata.model import ImageMetadata, Multiscale

FUNCTION = "gpuzarr.ome.downsample"
NAMES = {  # of the same methods in other libraries: ome-zarr, ngff-zarr, tensorstore, GDAL
    **dict.fromkeys(("local_mean", "itkwasm_bin_shrink", "itk_bin_shrink", "average", "box"), "mean"),
    **dict.fromkeys(("dask_image_mode", "itkwasm_label_image", "majority"), "mode"),
    **dict.fromkeys(("dask_image_nearest", "stride", "decimate"), "nearest"),
    "med": "median",
}


def described(method: str, factors: Factors, background: Any) -> dict[str, Any]:
    """The `metadata` of a multiscale that is reduced here."""
    arguments = {"factors": [list(step) for step in factors], "method": method, "background": background}
    text = f"each level is the finer one, reduced by {FUNCTION} with these factors along the axes"
    return {"description": text, "method": FUNCTION, "version": sys.modules["gpuzarr"].__version__, "kwargs": arguments}


def method_of(image: ImageMetadata, multiscale: Multiscale) -> tuple[str, int | float | None]:
    """The method of an image that exists, and the background of the method "mode".

    A method that is none of this library keeps its name. Where none is named: "mode" for labels, "mean" for others.
    """
    arguments = multiscale.metadata.get("kwargs")
    told: Mapping[str, Any] = {}
    if multiscale.metadata.get("method") == FUNCTION and isinstance(arguments, dict):
        told = arguments
    background = told.get("background")
    name = multiscale.type or told.get("method")
    if not isinstance(name, str):
        name = "mean" if image.label is None else "mode"
    is_number = isinstance(background, int | float) and not isinstance(background, bool)
    return NAMES.get(name.lower(), name), background if is_number else None


def checked_dtype(dtype: Any, is_labels: bool) -> np.dtype[Any]:
    """The dtype of an image: one of numbers; of labels, of integers. ArgumentError for others."""
    if dtype is None:
        raise ArgumentError("a new image needs a dtype")
    found = dtype_of(dtype)
    if found.kind not in ("iu" if is_labels else "biuf"):
        wanted = "integers: labels are the numbers of objects" if is_labels else "integers, floats or bool"
        raise ArgumentError(f"dtype: {shown(dtype)} is none of {wanted}")
    return found


def checked_method(method: Any, is_labels: bool) -> str:
    """The method of a new image."""
    chosen: str = one_of(("mode" if is_labels else "mean") if method is None else method, "method", *METHODS)
    return chosen


def checked_background(background: Any, method: str) -> Any:
    """The background of a new image: a number that JSON has, for the method "mode" alone."""
    if background is None:
        return None
    if method != "mode":
        raise ArgumentError(f"background: it is for the method 'mode', not for {method!r}")
    found = background.item() if isinstance(background, np.generic) else background
    if not isinstance(found, int | float) or isinstance(found, bool) or found != found:
        raise ArgumentError(f"background is a number, not {shown(background)}")
    return found
