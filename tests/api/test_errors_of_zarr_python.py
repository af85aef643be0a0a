"""Errors have the names of `zarr.errors`, and are caught by its classes where zarr-python was imported."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr.errors

import gpuzarr
from gpuzarr import errors

SIMPLE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, gpuzarr.GpuZarrError)]
SIMPLE = [kind for kind in dict.fromkeys(SIMPLE) if "__init__" not in vars(kind)]
WITHOUT_ZARR = """
import pickle, sys, gpuzarr
try:
    gpuzarr.open({})
except gpuzarr.NotFoundError as error:
    found = error
assert "zarr" not in sys.modules and type(found) is gpuzarr.NotFoundError
sys.stdout.buffer.write(pickle.dumps(found))
"""


def an_array() -> dict[str, Any]:
    store: dict[str, Any] = {}
    gpuzarr.save(store, np.arange(3))
    return store


CALLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "another array": ("ContainsArrayError", lambda: gpuzarr.create_array(an_array(), shape=4, dtype="i4")),
    "another group": ("ContainsGroupError", lambda: gpuzarr.open(an_array(), mode="w-")),
    "nothing": ("NodeNotFoundError", lambda: gpuzarr.open({})),
    "no array": ("ArrayNotFoundError", lambda: gpuzarr.open_array({})),
    "no group": ("GroupNotFoundError", lambda: gpuzarr.open_group(an_array())),
    "any": ("BaseZarrError", lambda: gpuzarr.open({})),
    "a wrong document": ("MetadataValidationError", lambda: gpuzarr.open({"zarr.json": b"{}"})),
    "a wrong kind": ("NodeTypeValidationError", lambda: gpuzarr.open({"zarr.json": b'{"zarr_format": 3}'})),
    "a wrong index": ("BoundsCheckError", lambda: gpuzarr.open(an_array())[7]),
    "a wrong point": ("VindexInvalidSelectionError", lambda: gpuzarr.open(an_array()).vindex["x"]),
    "an unknown codec": ("UnknownCodecError", lambda: gpuzarr.zeros(3, compressors="no codec")),
}


@pytest.mark.parametrize("kind", SIMPLE)
def test_the_same_clauses_of_python_catch_an_error_with_and_without_zarr_python(kind: Any) -> None:
    kinds = [{each for each in cls.__mro__ if each.__module__ == "builtins"} for cls in (kind, type(kind("a text")))]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("case", CALLS)
def test_what_a_program_for_zarr_python_catches(case: str) -> None:
    """By the name here, and by the class of zarr-python; as an error of this library, too."""
    name, call = CALLS[case]
    for kind in (getattr(errors, name), getattr(zarr.errors, name, errors.GpuZarrError), gpuzarr.GpuZarrError):
        with pytest.raises(kind):
            call()


def test_every_name_is_there() -> None:
    assert set(zarr.errors.__all__) <= set(dir(gpuzarr.errors))
    for name in zarr.errors.__all__:
        assert issubclass(getattr(errors, name), Warning) == name.endswith("Warning")


@pytest.mark.parametrize("kind", SIMPLE, ids=lambda kind: kind.__name__)
def test_an_error_stays_what_it_is(kind: type) -> None:
    """Its name, text and arguments; in copies and in pickles, too."""
    for args in (("no {0} 'node'",), (), ("a", 2)):
        error = kind(*args)
        assert isinstance(error, kind) and error.args == args and type(error).__name__ == kind.__name__
        assert type(error).__module__ == "gpuzarr.errors" and (len(args) != 1 or str(error) == args[0])
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert isinstance(other, kind) and other.args == args and str(other) == str(error)


@pytest.mark.parametrize("kind", SIMPLE, ids=lambda kind: kind.__name__)
def test_workers_of_dask_send_it(kind: type) -> None:
    """They pickle errors by tblib, which calls `__new__` and sets the attributes."""
    tblib = pytest.importorskip("tblib.pickling_support")
    error = kind("no {0} 'node'")
    make, arguments, *_ = tblib.pickle_exception(error)
    other = make(*arguments)
    assert isinstance(other, kind) and other.args == error.args and str(other) == str(error)


def test_attributes_are_pickled() -> None:
    error = gpuzarr.NotFoundError("nothing")
    error.add_note("a note")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["a note"]


def test_errors_come_from_processes_without_zarr_python() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ZARR], capture_output=True, check=True)
    error = pickle.loads(done.stdout)
    assert isinstance(error, gpuzarr.NotFoundError) and isinstance(error, zarr.errors.NodeNotFoundError)


def test_what_json_does_not_have_is_an_error_of_values_and_of_types() -> None:
    for wrong in ({"a": object()}, {1: 2}, {"a": {"b": {1, 2}}}):
        for kind in (ValueError, TypeError, gpuzarr.MetadataError):
            with pytest.raises(kind):
                gpuzarr.create_group({}, attributes=wrong)
