"""The shape of the house: imports run downwards, files stay short, heavy packages stay where they belong."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import gpuzarr
from gpuzarr.codecs import registry
from gpuzarr.gpu.algorithms import ALGORITHMS

ROOT = Path(gpuzarr.__file__).parent
FLOORS = [  # top to bottom, a folder or file each; a file may import from its own room and from the floors below
    ["__main__"],
    ["cli"],
    ["__init__"],
    ["earth2studio", "ome", "xarray", "zarr"],
    ["integrations"],
    ["tools"],
    ["api", "dtype", "storage"],
    ["loader", "pyramids"],
    ["nodes"],
    ["reduce"],
    ["write"],
    ["read"],
    ["creation", "indexing"],
    ["metadata"],
    ["codecs"],
    ["cpu", "gpu"],
    ["devices"],
    ["dtypes", "empty_chunk", "stores"],
    ["formats"],
    ["config"],
    ["line"],
    ["progress"],
    ["batch", "checks", "native", "threads"],
    ["interrupts", "tasks"],
    ["per_process"],
    ["errors"],
]
FLOOR = {room: depth for depth, rooms in enumerate(FLOORS) for room in rooms}
GPU_ROOMS = {"devices"}
TESTS = ROOT.parent / "tests"
OF_ALL_ROOMS = {
    "test_architecture.py",
    "test_docstrings.py",
    "test_readme.py",
    "test_threads.py",
    "test_contributing.py",
    "test_per_process.py",
    "test_imports.py",
    "test_line.py",
}
FILES = sorted(file for file in ROOT.rglob("*.py") if "_kernels" not in file.parts)


def room(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def imported(file: Path) -> list[str]:
    """Dotted names that a file imports, anywhere in it; of `from a import b` both `a` and `a.b`."""
    names = list[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_every_room_has_a_floor() -> None:
    assert {room(file) for file in FILES} <= set(FLOOR)


def test_imports_run_downwards() -> None:
    for file in FILES:
        here = room(file)
        for name in imported(file):
            parts = name.split(".")
            if parts[0] != "gpuzarr" or here == "__main__":
                continue
            there = parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"
            assert there == here or FLOOR[there] > FLOOR[here], f"{file.name} imports {name}, which is not below it"


def test_nodes_are_made_where_summaries_follow() -> None:
    """What makes, moves and copies nodes without that is used by the room `creation` alone."""
    for file in FILES:
        if room(file) != "creation":
            unseen = re.findall(r"gpuzarr\.creation\.(?:nodes|moving|replacing)\b", " ".join(imported(file)))
            assert not unseen, f"{file.name} imports {unseen}"


def test_no_public_name_shadows_a_module() -> None:
    for name in gpuzarr.__all__:
        shadowed = [path for path in (ROOT / name, ROOT / f"{name}.py") if path.exists()]
        assert not shadowed, f"gpuzarr.{name} hides the module {shadowed[0].name}"


def test_no_file_is_long() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}
    kernels = ROOT.parent / "kernels"
    lengths |= {file.name: len(file.read_text().splitlines()) for file in kernels.glob("*.cu*")}
    assert not {name: length for name, length in lengths.items() if length > 400}
    in_order = sorted(lengths.values())
    assert in_order[len(in_order) // 2] <= 120
    assert in_order[int(len(in_order) * 0.9)] <= 250


def test_gpu_packages_stay_in_their_rooms() -> None:
    for file in FILES:
        packages = {name.split(".")[0] for name in imported(file)}
        if room(file) not in GPU_ROOMS:
            assert not packages & {"cupy", "nvidia"}, f"{file.name} imports a GPU package"
        if room(file) != "stores":
            assert "kvikio" not in packages, f"{file.name} imports kvikio"


def test_no_codec_is_known_by_its_name() -> None:
    """What readers, writers, functions of the API and devices need to know of a codec or an algorithm, they ask it."""
    names = {name.removeprefix("numcodecs.") for _, name in registry()} | {name for _, name in registry()}
    for file in FILES:
        if room(file) in ("read", "write", "api", "devices"):
            constants = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
            known = {value for value in constants if isinstance(value, str)} & (names | ALGORITHMS.keys())
            assert not known, f"{file.relative_to(ROOT)} knows the codecs {sorted(known)}"


def test_tests_lie_in_the_rooms_of_what_they_test() -> None:
    """What several tests share lies in modules that are no tests."""
    rooms = set(FLOOR) | {"attack", "emulator", "cupy_stand_in", "benchmarks"}
    for file in TESTS.rglob("test_*.py"):
        inner = file.relative_to(TESTS).parts
        assert inner[0] in rooms or (len(inner) == 1 and inner[0] in OF_ALL_ROOMS), f"{file.name} is in no room"
        others = {name for name in imported(file) if re.search(r"^tests\..*\btest_", name)}
        assert not others, f"{file.name} imports {others} from another test"
