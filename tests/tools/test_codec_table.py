"""The table of codecs: it has all of them, and says what chains of real arrays say; the README agrees with it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import gpuzarr
from gpuzarr import codecs
from gpuzarr.tools import codec_table, codec_tables
from gpuzarr.tools.codec_tables import CONFIGURATIONS, LIBRARIES, PACKAGES

ROWS = {row.name: row for row in codec_table()}
README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_name_of_the_registry_is_in_one_row() -> None:
    v3 = [name for row in ROWS.values() for name in row.names]
    v2 = [name for row in ROWS.values() for name in row.ids]
    assert sorted(v3) == sorted(name for zarr_format, name in codecs.registry() if zarr_format == 3)
    assert sorted(v2) == sorted(name for zarr_format, name in codecs.registry() if zarr_format == 2)


def test_no_row_lacks_an_example() -> None:
    assert not [row.name for row in ROWS.values() if "without a configuration" in row.why_not_decode]


@pytest.mark.parametrize(
    "name", ["zstd", "gzip", "blosc", "crc32c", "numcodecs.lz4", "numcodecs.bz2", "numcodecs.lzma"]
)
def test_arrays_with_a_codec_say_the_same(name: str) -> None:
    a = gpuzarr.create_array({}, shape=(64, 64), chunks=(32, 32), dtype="i4", compressors=name)
    assert (a.explain(...).gpu_decode == "yes") == (ROWS[name].decode_cuda == "yes")
    assert (a.explain_write(...).gpu_encode == "yes") == (ROWS[name].encode_cuda == "yes")
    assert ROWS[name].why_not_decode in a.explain(...).because


@pytest.mark.filterwarnings("ignore::gpuzarr.errors.FewReadersWarning")
def test_on_a_gpu_codecs_do_what_the_table_says(gpu) -> None:
    """Compressors that a GPU encodes and decodes, all in one chain: no step of it runs on the host."""
    chain = [
        row.name for row in ROWS.values() if row.kind == "bytes->bytes" and row.decode_cuda == row.encode_cuda == "yes"
    ]
    values = np.arange(4096, dtype="i4").reshape(64, 64)
    for name in chain:
        a = gpuzarr.create_array({}, data=values, chunks=(32, 32), compressors=_document(name), device=gpu)
        assert {where for _, where in a.explain(...).codecs} == {gpu.name}
        assert {where for _, where in a.explain_write(...).codecs} == {gpu.name}
        assert (gpu.download(a[...]) == values).all()


def _document(name: str) -> dict:
    return {"name": name, "configuration": CONFIGURATIONS.get(name, {})}


def test_libraries_are_those_that_the_files_import() -> None:
    """What is imported in the files of the codecs, as far as it is neither Python's nor a part of NumPy."""
    own = set(sys.stdlib_module_names) | {"numpy", "gpuzarr", "__future__"}
    for row in ROWS.values():
        module = codecs.registry()[3, row.name].__module__
        imports = _imports(Path(str(import_module(module).__file__)))
        assert {PACKAGES.get(name, name) for name in LIBRARIES.get(row.name, ())} == set(row.libraries)
        beside = {
            "cramjam",
            "isal",
            "numcodecs",
            "imagecodecs",
            "nvidia.libnvcomp",
        }  # imported where several codecs use them, or by one of a file
        assert set(LIBRARIES.get(row.name, ())) - beside <= imports - own
        if module.count("checksum32") + module.count("vlen") == 0:
            assert imports - own <= set(LIBRARIES.get(row.name, ()))


def _imports(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}}


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_tables, "find_spec", lambda name: None)
    rows = {row.name: row for row in codec_table()}
    assert (rows["numcodecs.pcodec"].decode_cpu, rows["numcodecs.pcodec"].missing) == ("no", ("numcodecs", "pcodec"))
    assert (rows["imagecodecs_png"].encode_cpu, rows["imagecodecs_png"].missing) == ("no", ("imagecodecs",))
    assert (rows["numcodecs.bz2"].decode_cpu, rows["numcodecs.bz2"].missing) == ("yes", ())


def test_the_readme_lists_what_a_gpu_decodes() -> None:
    """In the table "What works today": every name there is decoded on a GPU, and every compressor that is, is there."""
    (line,) = re.findall(r"^\| codecs on a GPU \| (.*) \|$", README, re.M)
    named = set(re.findall(r"`([\w.-]+)`", line))
    on_gpu = {name for row in ROWS.values() if row.decode_cuda == "yes" for name in (*row.names, *row.ids)}
    assert named <= on_gpu
    compressors = [row for row in ROWS.values() if row.decode_cuda == "yes" and row.kind == "bytes->bytes"]
    assert all(named & {*row.names, *row.ids} for row in compressors)


def test_the_table_says_what_is_only_read() -> None:
    row = ROWS["imagecodecs_dds"]
    assert (row.decode_cpu, row.encode_cpu, row.libraries) == ("yes", "no", ("imagecodecs",))


def test_one_extra_brings_all_that_codecs_need() -> None:
    """But nvCOMP, which comes with `cuda12` or `cuda13`: its packages for these have the same files."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    given = [*project["dependencies"], *project["optional-dependencies"]["codecs"]]
    given += [line for line in project["optional-dependencies"]["cuda13"] if "nvcomp" in line]
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in given}
    assert {PACKAGES.get(name, name) for row in ROWS.values() for name in row.libraries} <= names
    (line,) = [line for line in project["optional-dependencies"]["test"] if line.startswith("gpuzarr[")]
    assert "codecs" in re.split(r"[\[,\]]", line)
