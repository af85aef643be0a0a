"""Images that are made with random arguments, and the official schemas that their metadata must pass."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = ("0.4", "0.5", "0.6")
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "nanometer"}
SIZES = st.floats(1e-3, 1e3, allow_subnormal=False)


@cache
def validator(version: str, name: str) -> Any:
    """The validator of a schema, with the others of its version."""
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    found = [json.loads(file.read_text()) for file in (SCHEMAS / version).glob("*.schema")]
    draft = pytest.importorskip("referencing.jsonschema").DRAFT202012
    resources = [(each["$id"], referencing.Resource.from_contents(each, draft)) for each in found]
    schema = json.loads((SCHEMAS / version / f"{name}.schema").read_text())
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry().with_resources(resources))


def check_schema(version: str, name: str, attributes: Any) -> None:
    """Raise what the schema has against the attributes."""
    validator(version, name).validate(json.loads(json.dumps(dict(attributes))))


@st.composite
def image_arguments(draw: Any) -> dict[str, Any]:
    """Arguments of `create_image` that make sense."""
    axes = draw(st.sampled_from(["yx", "zyx", "cyx", "tyx", "czyx", "tzyx", "tcyx", "tczyx"]))
    lengths = {"t": 3, "c": 3, "z": 40, "y": 70, "x": 70}
    shape = tuple(draw(st.integers(1, lengths[axis])) for axis in axes)
    space = [axis for axis in axes if axis in "zyx"]
    steps = st.lists(st.fixed_dictionaries({axis: st.integers(1, 3) for axis in space}), max_size=3)
    factors = draw(st.none() | steps)
    method = draw(st.sampled_from(["mean", "mode", "nearest", "max", "min", "median"]))
    return {
        "shape": shape,
        "dtype": draw(st.sampled_from(["uint8", "int16", "uint64", "float32"])),
        "axes": axes,
        "scale": draw(st.tuples(*[SIZES] * len(axes))),
        "units": draw(st.none() | st.just({axis: UNITS[axis] for axis in axes if axis in UNITS})),
        "translation": draw(st.none() | st.tuples(*[st.floats(-1e3, 1e3)] * len(axes))),
        "factors": None if factors is None else [[step.get(axis, 1) for axis in axes] for step in factors],
        "method": method,
        "background": draw(st.none() | st.integers(0, 9)) if method == "mode" else None,
        "version": draw(st.sampled_from(VERSIONS)),
        "name": draw(st.none() | st.sampled_from(["brain", "a/b", "Größe"])),
        "chunks": draw(st.sampled_from(["auto", 8, 16])),
        "omero": draw(st.sampled_from([None, ["ch"] * dict(zip(axes, shape, strict=True)).get("c", 1)])),
    }
