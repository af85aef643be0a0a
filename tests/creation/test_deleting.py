"""A node is deleted as a whole: whatever fails or interrupts that, all of it is there, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import GpuZarrWarning
from gpuzarr.stores.hidden import is_hidden
from tests.attack.rounds import rounds
from tests.interrupting import Interrupted
from tests.stores_of_tests import KINDS, objects

FORMATS: Any = [2, 3]


def filled(store: Any, version: Any) -> gpuzarr.Group:
    g = gpuzarr.create_group(store, zarr_format=version)
    g.create_array("h/b", data=np.arange(6), chunks=2)
    g["h/c/d"], g["a"] = np.arange(3), np.arange(2)
    return g


def visible(store: Any) -> dict[str, bytes]:
    return {key: value for key, value in objects(store).items() if not is_hidden(key)}


@pytest.mark.parametrize("kind", ["local", "mapping"])
@pytest.mark.parametrize("version", FORMATS)
def test_an_interrupt(version: Any, kind: str, tmp_path: Path) -> None:
    g = filled(store := KINDS[kind](tmp_path / "all"), version)
    before = visible(store)
    counted = Interrupted(-1)
    assert not counted(lambda: g.__delitem__("h"))
    after = visible(store)
    assert after and set(after) == {key for key in before if not key.startswith("h/")} and objects(store) == after
    lines = range(counted.lines)
    for n in rounds("interrupted deletions", lines[:: max(len(lines) // 25, 1)]):
        g = filled(store := KINDS[kind](tmp_path / str(n)), version)
        Interrupted(n)(lambda: g.__delitem__("h"))  # noqa: B023
        assert visible(store) in (before, after), f"line {n}"
        g.create_array("h", data=np.zeros(7), chunks=2, overwrite=True)
        assert g["h"][...].tolist() == [0] * 7


class Failing(dict[str, bytes]):
    """A mapping that once does not delete."""

    passes = 0

    def pop(self, *arguments: Any) -> Any:  # type: ignore[override]
        self.passes -= 1
        if self.passes == 0:
            raise OSError("a broken disk")
        return super().pop(*arguments)


def test_a_mapping_that_fails_once() -> None:
    """What is below the node goes, too: the chunks would be those of the next array there."""
    for passes in range(1, 12):
        store = Failing()
        g = filled(store, 3)
        store.passes = passes
        try:
            del g["h"]
        except gpuzarr.StoreError:
            assert not [key for key in store if key.startswith("h/")]


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("function", ["rename", "unlink", "rmdir"])
def test_a_folder_that_is_not_deleted(
    function: str, version: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that cannot be put aside stays; one that can is gone, and a warning tells of what is left."""
    g = filled(store := gpuzarr.LocalStore(tmp_path), version)
    before, right = visible(store), getattr(os, function)

    def refused(name: Any, *arguments: Any, **options: Any) -> None:
        if str(name).endswith(".lock"):
            return right(name, *arguments, **options)
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, refused)
        if function == "rename":
            with pytest.raises(gpuzarr.StoreError, match="Permission denied"):
                del g["h"]
        else:
            with pytest.warns(GpuZarrWarning, match="'h' of .* is gone, but not all of its files"):
                del g["h"]
    assert visible(store) == (before if function == "rename" else {k: v for k, v in before.items() if k[:2] != "h/"})
    assert ("h" in g) == (function == "rename")
