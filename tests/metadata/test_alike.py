"""Documents that are the same but for attributes and names are parsed once, and share nothing that can be changed."""

import copy

import numpy as np
import pytest

import gpuzarr
from gpuzarr.metadata import alike


@pytest.fixture(params=[2, 3])
def group(request):
    """A group with two arrays that differ in attributes and names, and one with another fill value."""
    made = gpuzarr.create_group({}, zarr_format=request.param)
    for name, fill_value in (("a", 0.0), ("b", 0.0), ("c", -0.0)):
        names = {"dimension_names": [name]} if request.param == 3 else {}
        attributes = {"name": name} if request.param == 3 else {"name": name, "_ARRAY_DIMENSIONS": [name]}
        made.create_array(name, shape=3, dtype="f4", fill_value=fill_value, attributes=attributes, **names)
    return gpuzarr.open_group(made.store)


def test_each_array_has_what_is_its_own(group):
    alike._parsed.cache_clear()
    arrays = dict(group.arrays())
    assert alike._parsed.cache_info().currsize == 2
    for name, array in arrays.items():
        assert array.attrs["name"] == name
        assert array.dimension_names == (name,)
        assert np.signbit(array[0]) == (name == "c")


def test_what_a_user_changes_changes_no_other_array(group):
    first, second = group["a"].metadata, group["b"].metadata
    before = copy.deepcopy(second.to_dict())
    for value in first.to_dict().values():
        if isinstance(value, list | dict):
            value.clear()
    assert group["b"].metadata.to_dict() == second.to_dict() == before
    reopened = gpuzarr.open_group(group.store)["b"].metadata
    assert reopened.to_dict() == before


def test_long_documents_and_those_that_are_no_json_are_parsed_anew():
    alike._parsed.cache_clear()
    parsed = []
    for document in ({"text": "x" * 5000}, {"object": object()}):
        alike.parsed(document | {"own": 1}, ("own",), parsed.append)
    assert [list(each) for each in parsed] == [["text"], ["object"]]
    assert alike._parsed.cache_info().currsize == 0
