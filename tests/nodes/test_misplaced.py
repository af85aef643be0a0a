"""Chunks under other keys: a read that finds none warns once, and says what is there and how to repair it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from gpuzarr.errors import MisplacedChunksWarning
from tests.hardware import host_array
from tests.stores.counting_client import remote

VALUES = np.arange(1, 13, dtype="i4").reshape(3, 4)


class Slow(Mapping[str, Any]):
    """A mapping that may be remote: it is asked for a few keys, and never listed."""

    def __init__(self, store: dict[str, Any]) -> None:
        self.store = store

    def __getitem__(self, key: str) -> Any:
        return self.store[key]

    def __iter__(self) -> Any:
        raise AssertionError("this takes too long")

    def __len__(self) -> int:
        raise AssertionError("this takes too long")


def stored(kind: str, tmp_path: Path, objects: dict[str, bytes]) -> Any:
    """A store with these objects."""
    if kind == "mapping":
        return objects
    if kind == "slow":
        return Slow(objects)
    if kind == "memory://":
        url = f"memory://{tmp_path}/part"  # a part of a mapping
        mapping = gpuzarr.open_group(url, mode="w").store.mapping  # type: ignore[attr-defined]
        del mapping["zarr.json"]
        mapping.update(objects)
        return url
    for key, data in objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    return tmp_path


def array(zarr_format: Any, path: str, separator: str, **options: Any) -> dict[str, bytes]:
    made: dict[str, Any] = {}
    keys = {"name": "v2" if zarr_format == 2 else "default", "separator": separator}
    a = gpuzarr.create_array(
        made, name=path, data=VALUES, chunks=(2, 2), zarr_format=zarr_format, chunk_key_encoding=keys, **options
    )
    assert a.chunks
    return {key: bytes(data) for key, data in made.items()}


def moved(objects: dict[str, bytes], old: str, new: str, chunks: Any) -> dict[str, bytes]:
    """The same with other keys of chunks: those of the array at "a" begin with `old`."""
    return {
        f"a/{new}{chunks(key[2 + len(old) :])}" if key.startswith(f"a/{old}") else key: data
        for key, data in objects.items()
    }


CASES: dict[str, Any] = {  # what was written, its keys' beginning, what they become, and the repair
    "v2 /": (2, ".", "", lambda key: key.replace(".", "/") if key[0].isdigit() else key, '"dimension_separator": "/"'),
    "v2 .": (2, "/", "", lambda key: key.replace("/", ".") if key[0].isdigit() else key, '"dimension_separator": "."'),
    "v2 with keys of v3": (2, "/", "", lambda key: f"c/{key}" if key[0].isdigit() else key, "zarr.json"),
    "v2 deeper": (2, ".", "", lambda key: f"data/{key}" if key[0].isdigit() else key, "deeper"),
    "v3 .": (3, "/", "c/", lambda key: f"c.{key.replace('/', '.')}", '"default", "configuration": {"separator": "."}'),
    "v3 /": (3, ".", "c.", lambda key: f"c/{key.replace('.', '/')}", '"default", "configuration": {"separator": "/"}'),
    "v3 without c": (3, "/", "c/", lambda key: key, '"v2", "configuration": {"separator": "/"}'),
    "v3 with keys of v2": (
        3,
        "/",
        "c/",
        lambda key: key.replace("/", "."),
        '"v2", "configuration": {"separator": "."}',
    ),
    "v3 deeper": (3, "/", "c/", lambda key: f"s0/c/{key}", "deeper"),
    "fewer axes": (3, "/", "c/", lambda key: f"c/{key.partition('/')[0]}", "1 axes, and the array has 2"),
}


@pytest.mark.parametrize("kind", ["folder", "mapping", "slow"])
@pytest.mark.parametrize("case", CASES)
def test_other_keys_are_told(case: str, kind: str, tmp_path: Path, device: Device) -> None:
    zarr_format, separator, old, chunks, repair = CASES[case]
    objects = moved(array(zarr_format, "a", separator), old, "", chunks)
    if kind == "slow" and ("deeper" in case or case == "fewer axes"):
        return  # nobody asks for these keys
    a = gpuzarr.open_array(stored(kind, tmp_path, objects), path="a", device=device)
    with pytest.warns(MisplacedChunksWarning) as caught:
        assert not host_array(a[1:]).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not host_array(a[...]).any() and not host_array(a.oindex[[0], [1]]).any()  # once is enough
    first = a.metadata.chunk_keys.encode(np.zeros((1, 2), int))[0]
    message = str(caught[0].message)
    assert len(caught) == 1 and repair in message and f"'a/{first}'" in message and "'a/" in message.replace(first, "")
    assert a.info.asdict()["Problem"] == message and (
        kind == "slow" or a.info_complete().asdict()["Problem"] == message
    )


@pytest.mark.parametrize("kind", ["folder", "mapping", "slow"])
@pytest.mark.parametrize("zarr_format, separator", [(2, "."), (2, "/"), (3, "."), (3, "/")])
def test_nothing_is_told_of_arrays_that_are_right(
    kind: str, zarr_format: Any, separator: str, tmp_path: Path, device: Device, recwarn: pytest.WarningsRecorder
) -> None:
    objects = array(zarr_format, "a", separator)
    documents = {key: data for key, data in objects.items() if key.rpartition("/")[2].startswith((".z", "zarr"))}
    (last, *_) = sorted((key for key in objects if key not in documents), reverse=True)
    inner = {f"a/inner/{key[2:]}": data for key, data in objects.items()}
    hidden = {"a/.DS_Store": b"x", "a/.zarray.bak": b"x", "a/attributes.json": b"{}"}
    for i, some in enumerate(
        [documents, documents | {last: objects[last]}, documents | inner, documents | hidden, objects]
    ):
        a = gpuzarr.open_array(stored(kind, tmp_path / str(i), some), path="a", device=device)
        assert host_array(a[:1, :1]).shape == (1, 1) and a[:0].shape == (0, 4) and "Problem" not in a.info.asdict()
    sharded = gpuzarr.create_array({}, shape=(8,), dtype="i4", chunks=2, shards=4, device=device)
    sharded[4:] = 1
    assert not host_array(sharded[:4]).any()
    new = gpuzarr.create_array(tmp_path / "new", shape=(4, 4), dtype="i4", chunks=(2, 2), device=device)
    assert not host_array(new[...]).any()
    new[...] = 1
    new[...] = 0  # which deletes them, and may leave folders
    assert not host_array(gpuzarr.open_array(tmp_path / "new", device=device)[...]).any()
    assert not [w for w in recwarn if issubclass(w.category, MisplacedChunksWarning)]


UNRELATED = [
    *("README", "README.md", "LICENSE", "Thumbs.db", "desktop.ini", "index.html", "stats.json", "meta.yaml", "0.txt"),
    *("2020.csv", "data.bin", "a/b.txt", "labels/readme.txt", "c.txt", "zarr.json.bak", ".git/0/0", "_notes/0.0"),
    *("0.0123456789abcdef0123456789abcdef.partial", "c/0/0.0123456789abcdef0123456789abcdef.partial", "chunk.lock"),
]


@pytest.mark.parametrize("kind", ["folder", "mapping", "memory://", "slow"])
@pytest.mark.parametrize("zarr_format, path", [(2, ""), (2, "a"), (3, ""), (3, "g/a")])
def test_nothing_is_told_of_unrelated_files(
    kind: str, zarr_format: Any, path: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    start = f"{path}/" if path else ""
    objects = {
        k: v for k, v in array(zarr_format, path, ".").items() if k.rpartition("/")[2].startswith((".z", "zarr"))
    }
    store = stored(kind, tmp_path, objects | {start + name: b"x" for name in UNRELATED})
    a = gpuzarr.open_array(store, path=path)
    assert not a[...].any() and "Problem" not in a.info.asdict() and not recwarn


@pytest.mark.parametrize("kind", ["folder", "mapping", "memory://"])
@pytest.mark.parametrize("zarr_format, key", [(2, "c"), (3, "0")])
def test_other_keys_of_arrays_without_axes_are_told(kind: str, zarr_format: Any, key: str, tmp_path: Path) -> None:
    made: dict[str, Any] = {}
    gpuzarr.create_array(made, shape=(), dtype="i4", zarr_format=zarr_format)
    store = stored(kind, tmp_path, {k: bytes(v) for k, v in made.items()} | {key: b"x", "README": b"x"})
    with pytest.warns(MisplacedChunksWarning, match=f"there is '{key}'"):
        assert gpuzarr.open_array(store)[()] == 0


def test_chunks_are_found_without_a_look_at_all_objects() -> None:
    made: dict[str, Any] = {}
    a = gpuzarr.create_array(made, shape=200_000, chunks=1, dtype="i1")
    made |= {f"c/{i}": b"" for i in range(100_000)}
    asked: list[Any] = []

    class Counted(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            asked.append(key)
            return super().__contains__(key)

    a = gpuzarr.open_array(Counted(made))
    asked.clear()
    assert a[150_000] == 0 and len(asked) < 50


def test_a_large_folder_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {k: v for k, v in array(2, "a", ".").items() if k == "a/.zarray"}
    a = gpuzarr.open_array(
        document | {f"a/{i}/{j}/{k}": b"" for i in range(9) for j in range(9) for k in range(9)}, path="a"
    )
    with pytest.warns(MisplacedChunksWarning, match="3 axes"):
        assert a[0, 0] == 0


def test_the_command_tells_it(tmp_path: Path) -> None:
    stored("folder", tmp_path, moved(array(2, "a", "."), "", "", CASES["v2 /"][3]))
    command = [sys.executable, "-m", "gpuzarr", "info", str(tmp_path / "a")]
    assert '"dimension_separator": "/"' in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert '"dimension_separator": "/"' in told["nodes"][0]["problem"]


def test_a_remote_store_is_asked_for_a_few_keys_and_not_listed() -> None:
    """Also one that lists nothing, such as a web server. Nothing of a chunk is fetched."""
    values: dict[str, bytes] = {}
    gpuzarr.save_array(values, np.arange(4.0).reshape(2, 2), zarr_format=2)
    values["0/0"] = values.pop("0.0")
    store, client = remote(values={key: (1, value) for key, value in values.items()}, can_list=False)
    a = gpuzarr.open_array(store, device="cpu")
    client.forget()
    with pytest.warns(gpuzarr.errors.MisplacedChunksWarning, match=r"the key '0\.0', but there is '0/0'"):
        a[...]
    assert client.asked == ["0.0"] and set(client.looks) == {"0.0", "0/0", "c.0.0", "c/0/0"} and not client.lists
