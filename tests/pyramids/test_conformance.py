"""The conformance suite of OME-Zarr 0.6: what is valid opens, what is not is refused, or told by `check`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import ome
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata import parse_image
from gpuzarr.pyramids.metadata.rules import violations
from gpuzarr.tools.check_ome import check_ome
from tests.conftest import examples
from tests.pyramids.conformance import INVALID, VALID_IMAGES, VALID_OTHERS, Document
from tests.pyramids.damage import damage
from tests.pyramids.made_images import validator

VALID = {f"image/{name}": document for name, (document, *_) in VALID_IMAGES.items()} | VALID_OTHERS
SCHEMAS = {"omero": "image", "transforms": "image"}


def told(document: Document) -> list[str]:
    """What is said against a document: why it is refused, or else why it is warned of."""
    try:
        parse_image(document)
        return violations(document)
    except MetadataError as error:
        return [str(error)]


def by_schema(name: str, document: Document) -> list[str]:
    """What the official schema has against it."""
    kind = name.partition("/")[0]
    if kind == "scene":
        pytest.skip("scenes have no schema of their own here")
    return [error.message for error in validator("0.6", SCHEMAS.get(kind, kind)).iter_errors(document)]


@pytest.mark.parametrize("name", VALID)
def test_nothing_is_said_against_what_is_valid(name: str) -> None:
    assert told(VALID[name]) == []


@pytest.mark.parametrize("name", INVALID)
def test_what_is_invalid_is_told(name: str) -> None:
    found = told(INVALID[name])
    assert found and all(isinstance(text, str) and "ome." in text for text in found)


@pytest.mark.parametrize("name", [*VALID, *INVALID])
def test_the_schema_says_the_same(name: str) -> None:
    """So that the cases are right: the schemas come from the specification, these documents were made here."""
    found = by_schema(name, (VALID | INVALID)[name])
    assert bool(found) == (name in INVALID), found


@pytest.mark.parametrize("name", VALID_IMAGES)
def test_valid_images_open_with_their_scales(name: str) -> None:
    document, scale, translation = VALID_IMAGES[name]
    group = gpuzarr.create_group({}, attributes=document)
    group.create_array("s0", shape=(4,) * len(scale), dtype="uint8")
    image = ome.open_image(group.store)
    assert (image.scales, image.translations) == ((scale,), (translation,))
    findings: list[Any] = []
    check_ome(image.group, findings.append)
    assert findings == []


@pytest.mark.parametrize("name", INVALID)
def test_check_tells_of_what_is_invalid(name: str) -> None:
    group = gpuzarr.create_group({}, attributes=INVALID[name])
    findings: list[Any] = []
    check_ome(group, findings.append)
    assert any(each.kind == "ome" and "missing: there is no such array" not in each.message for each in findings)


def test_documents_that_are_nested_deeply_are_errors() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MetadataError, match="too deeply"):
        violations({"ome": {"version": "0.6", "image-label": {"colors": [deep, deep]}}})


VALUES = st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], {}, [0], [1, 1], ["x"], {"name": "x"}])


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data(), name=st.sampled_from([name for name in VALID if not name.startswith("scene")]))
def test_what_the_schema_refuses_is_told(data: st.DataObject, name: str) -> None:
    """Of documents in which some member is another value, or missing."""
    document = copy.deepcopy(VALID[name])
    damage(data, document["ome"], VALUES)
    if set(document["ome"]) == set(VALID[name]["ome"]) and by_schema(name, document):
        assert told(document)
