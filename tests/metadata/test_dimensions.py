"""Names of axes that xarray and netCDF-C write as attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.metadata.dimensions import of_nczarr, of_xarray
from tests import corpus
from tests.metadata.anything import JSON

ZARRAY = {"zarr_format": 2, "shape": [4, 6], "chunks": [4, 6], "dtype": "<i4", "compressor": None, "fill_value": 0}
REFERENCES = {"dimension_references": ["/lat", "/g1/lon"], "storage": "chunked"}
ATTRIBUTES = {"_nczarr_array": REFERENCES, "_nczarr_attr": {"types": {"_nczarr_array": "|J0"}}, "units": "m"}


def opened(zarray: dict[str, Any], attributes: dict[str, Any]) -> gpuzarr.Array:
    documents = {".zarray": ZARRAY | zarray, ".zattrs": attributes}
    return gpuzarr.open_array({name: json.dumps(document).encode() for name, document in documents.items()})


@pytest.mark.parametrize(
    "zarray, attributes, names",
    [
        ({}, ATTRIBUTES, ("lat", "lon")),
        ({}, ATTRIBUTES | {"_ARRAY_DIMENSIONS": ["y", "x"]}, ("y", "x")),
        ({"_nczarr_array": {"dimrefs": ["/d0", "/d1"]}}, {}, ("d0", "d1")),
        ({"_NCZARR_ARRAY": {"dimrefs": ["/d0", "d1"]}}, {"_NCZARR_ATTR": {}}, ("d0", "d1")),
        ({"shape": [1], "chunks": [1]}, {"_nczarr_array": {"dimension_references": ["/_scalar_"]}}, ("_scalar_",)),
        ({"_nczarr_array": {"dimrefs": ["/d0"]}}, {}, None),
        ({"_nczarr_array": {"dimrefs": ["/d0", 1]}}, {"_nczarr_array": [1]}, None),
    ],
)
def test_nczarr_of_v2(zarray: dict[str, Any], attributes: dict[str, Any], names: Any) -> None:
    """Attributes stay what they are: xarray hides these itself."""
    a = opened(zarray, attributes)
    assert a.dimension_names == names and a.attrs.asdict() == attributes


def test_nczarr_of_v3() -> None:
    store: dict[str, bytes] = {}
    gpuzarr.create_array(store, shape=(4, 6), dtype="i4", attributes=ATTRIBUTES)
    assert gpuzarr.open_array(store).dimension_names == ("lat", "lon")
    gpuzarr.create_array(
        store, shape=(4, 6), dtype="i4", attributes=ATTRIBUTES, dimension_names=["y", None], overwrite=True
    )
    a = gpuzarr.open_array(store)
    assert a.dimension_names == ("y", None) and a.attrs.asdict() == ATTRIBUTES


@given(
    st.dictionaries(st.sampled_from(["_ARRAY_DIMENSIONS", "_nczarr_array", "_NCZARR_ARRAY"]), JSON), st.integers(0, 3)
)
def test_whatever_else_is_ignored(attributes: dict[str, Any], ndim: int) -> None:
    for names in (of_xarray(attributes, ndim), of_nczarr(attributes, ndim)):
        assert names is None or (len(names) == ndim and all(isinstance(name, str) for name in names))


@corpus.needed
def test_stores_by_netcdf_c() -> None:
    """All of them are read, also those of older versions; dimensions of groups have names, too."""
    rows = [row for row in corpus.rows() if row["source"] == "netcdf_c"]
    for row in rows:
        a = gpuzarr.open_array(corpus.objects(row["path"]), device="cpu")
        assert list(a.shape) == row["shape"], row["path"]
        if "sha256" in row:  # else its chunk is of another shape
            assert corpus.digest(a[...]) == row["sha256"], row["path"]
    assert len(rows) >= 12
    store = corpus.objects("netcdf_c/nczarr_test/ref_oldformat.zip/ref_oldformat")
    group = gpuzarr.open(store, device="cpu")
    assert group["g1/pos"].dimension_names == ("_Anonymous_Dim_8", "_Anonymous_Dim_10")
    assert [path for path, _ in group.members(max_depth=None)] == ["g1", "g1/pos", "lat"]
