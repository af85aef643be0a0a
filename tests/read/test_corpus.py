"""Every v2 and v3 array of the corpus that lies in a directory meets its digest, or is refused by a typed error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from tests import corpus
from tests.hardware import host_array

ROWS = [row for row in corpus.rows() if row["container"] == "directory" and row["format"] in ("v2", "v3")]
pytestmark = pytest.mark.skipif(not ROWS, reason="the corpus is not here")


def _check(rows: list[dict[str, Any]], what: Callable[[dict[str, Any]], str | None]) -> None:
    wrong = {row["path"]: problem for row in rows if (problem := what(row))}
    print(f"{len(rows) - len(wrong)} of {len(rows)} arrays of the corpus are right")
    assert not wrong, "\n".join(f"{path}: {problem}" for path, problem in wrong.items())


def test_known_values(device: Device) -> None:
    def problem(row: dict[str, Any]) -> str | None:
        try:
            a = gpuzarr.open_array(corpus.ROOT / row["path"], device=device, zarr_format=int(row["format"][1]))
            if device.gpu and not fits_gpu(a.dtype):
                return None
            digest = corpus.digest(host_array(a[...]))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None if digest == row["sha256"] else f"another digest, {a!r}"

    _check([row for row in ROWS if "sha256" in row], problem)


def test_broken_on_purpose(device: Device) -> None:
    def problem(row: dict[str, Any]) -> str | None:
        try:
            gpuzarr.open_array(corpus.ROOT / row["path"], device=device, zarr_format=int(row["format"][1]))[...]
        except gpuzarr.GpuZarrError:
            return None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None  # nobody vouches for its values, but they may be read

    _check([row for row in ROWS if "sha256" not in row], problem)
