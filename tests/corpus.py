"""The corpus: real stores by other implementations, beside the repository; tests that want it skip where it is not.

Its README says how `expected.json` was made; `digest` is the digest described there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(os.environ.get("GPUZARR_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))

needed = pytest.mark.skipif(not ROOT.is_dir(), reason=f"no corpus at {ROOT}")

METADATA = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")


@cache
def rows() -> list[dict[str, Any]]:
    """The rows of expected.json, one an array; none where the corpus is absent."""
    return json.loads((ROOT / "expected.json").read_text()) if ROOT.is_dir() else []


def zarr_rows(container: str | None = None) -> list[dict[str, Any]]:
    """The rows of v2 and v3 arrays, perhaps only those in a "directory" or a "zip"."""
    return [row for row in rows() if row["format"] in ("v2", "v3") and container in (None, row["container"])]


def read(path: str) -> bytes | None:
    """The bytes at `path` of the corpus, a part of which may be a zip file; None where there is nothing."""
    if (ROOT / path).is_file():
        return (ROOT / path).read_bytes()
    parts = path.split("/")
    for i, part in enumerate(parts):
        archive = ROOT.joinpath(*parts[: i + 1])
        if part.endswith(".zip") and archive.is_file():
            inside = _contents(archive)
            return inside.get("/".join(parts[i + 1 :]))
    return None


def objects(path: str) -> dict[str, bytes]:
    """All objects below `path` of the corpus, a part of which may be a zip file, by their keys below it."""
    if (folder := ROOT / path).is_dir():
        return {
            str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
        }
    archive, _, inner = path.partition(".zip/")
    inside = _contents(ROOT / f"{archive}.zip")
    return {key[len(inner) + 1 :]: data for key, data in inside.items() if key.startswith(f"{inner}/")}


@cache
def _contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name.strip("/"): opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def digest(array: Any) -> str:
    """SHA-256 over the C-order little-endian bytes of a decoded array.

    Strings and bytes of any length: of each element its length as little-endian int32 (-1: missing) and its bytes.
    """
    array = np.asarray(array)
    if array.dtype.kind in "OT":
        return hashlib.sha256(b"".join(_element(element) for element in array.reshape(-1).tolist())).hexdigest()
    little = array.dtype.newbyteorder("<")
    return hashlib.sha256(np.ascontiguousarray(array.astype(little, copy=False)).tobytes()).hexdigest()


def _element(element: Any) -> bytes:
    if element is None:
        return np.int32(-1).astype("<i4").tobytes()
    raw = element if isinstance(element, bytes) else str(element).encode()
    return np.array(len(raw), "<i4").tobytes() + raw


@cache
def numcodecs_rows() -> list[dict[str, Any]]:
    """The encodings of numcodecs' own fixtures: a row is a codec, an array and an encoded chunk; none where absent."""
    return json.loads((ROOT / "numcodecs/expected_numcodecs.json").read_text()) if ROOT.is_dir() else []


def numcodecs_chunk(row: dict[str, Any]) -> tuple[np.ndarray, bytes]:
    """The array of a row, and its encoded chunk."""
    fixture = ROOT / "numcodecs/fixture"
    encoded = (fixture / row["encoded"]).read_bytes()
    if row["array"].endswith(".npy"):
        return np.load(fixture / row["array"]), encoded
    document = json.loads((fixture / row["array"]).read_text())
    array = np.empty(len(document["values_C_order"]), object)
    for i, value in enumerate(document["values_C_order"]):
        array[i] = _value(value)
    return np.array(array.reshape(document["shape"]), order=document["order"]), encoded


def _value(value: Any) -> Any:
    if isinstance(value, dict) and "b64" in value:
        return base64.b64decode(value["b64"])
    if isinstance(value, dict) and "values" in value:
        return np.array(value["values"], value["dtype"]).reshape(value["shape"])
    return value
