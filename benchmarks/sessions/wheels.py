"""Collect the wheels that a machine with a GPU and without a network lacks, and check that they are enough.

`wheels.txt` names them, `machine.txt` what is there already. Checked are what each wheel and gpuzarr itself require,
that there is one version of each package, and the size of all that travels: the wheels' folder, the working tree, and
gpuzarr's C library, which is compiled anew. The folder also gets a file COMMIT, as a
copy of the sources cannot tell it, and the corpus of real stores, packed. At last the line is printed that installs the
wheels there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.harness import timing
from gpuzarr.native import build as native

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
THERE = {  # for the markers of requirements
    "python_version": "3.12",
    "python_full_version": "3.12.3",
    "implementation_name": "cpython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
    "extra": "",
}
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 34, 31, 28, 27, 24, 17, 12, 5)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
EXTRA = "cuda13"  # of gpuzarr, beside its dependencies


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    nbytes: int
    needs: tuple[Requirement, ...]

    @classmethod
    def of(cls, path: Path) -> Wheel:
        with zipfile.ZipFile(path) as archive:
            (place,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            fields = message_from_bytes(archive.read(place))
        needs = tuple(Requirement(text) for text in fields.get_all("Requires-Dist", []))
        return cls(canonicalize_name(fields["Name"]), fields["Version"], path.stat().st_size, needs)


def listed(path: Path) -> dict[str, str | None]:
    """Packages of a list, and the version where it says one."""
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    pairs = [line.partition("==") for line in lines if line]
    return {canonicalize_name(name): version or None for name, _, version in pairs}


def own_needs(project: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """What gpuzarr needs to run on a GPU."""
    found = tomllib.loads(project.read_text())["project"]
    return [Requirement(text) for text in (*found["dependencies"], *found["optional-dependencies"][EXTRA])]


def problems(wheels: Sequence[Wheel], machine: dict[str, str | None], own: Iterable[Requirement] = ()) -> list[str]:
    """What is missing, in another version than it must be, there twice, or carried in vain."""
    found = {wheel.name: wheel for wheel in wheels}
    names = [wheel.name for wheel in wheels]
    said = [f"{name} is there {names.count(name)} times" for name in found if names.count(name) > 1]
    said += [f"{name} is on the machine already" for name in found if name in machine]
    versions = machine | {wheel.name: wheel.version for wheel in wheels}
    every = [("gpuzarr", need) for need in own] + [(wheel.name, need) for wheel in wheels for need in wheel.needs]
    for who, need in every:
        name = canonicalize_name(need.name)
        if need.marker and not need.marker.evaluate(THERE):
            continue
        if name not in versions:
            said.append(f"{who} needs {need}, which is missing")
        elif (version := versions[name]) and not need.specifier.contains(version, prereleases=True):
            said.append(f"{who} needs {need}, not {version}")
    return said


def download(wanted: Path, into: Path) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    kind = "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", *kind]
    subprocess.run([*command, *platforms, "-d", str(into), "-r", str(wanted)], check=True)


def tree_bytes(root: Path) -> int:
    """Of all files that git tracks or does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout.split("\0")
    return sum((root / name).stat().st_size for name in names if name and (root / name).is_file())


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def compiled() -> int:
    """Size (bytes) of the C library, compiled from these very sources; 0 without a C compiler."""
    return native.LIBRARY.stat().st_size if native.build() else 0


def pack(folder: Path, archive: Path) -> None:
    """All of a folder as a .tar.xz, which `python -m tarfile` unpacks."""
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(folder, ".")


def install_line(folder: str, target: str) -> str:
    how = "-q --no-index --no-deps --no-compile --no-cache-dir --upgrade --disable-pip-version-check"
    commit = f"GPUZARR_COMMIT=$(cat {folder}/COMMIT)"
    return f"python3 -m pip install {how} --target {target} {folder}/*.whl && export PYTHONPATH={target} {commit}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wanted", type=Path, default=HERE / "wheels.txt", help="the list of wheels")
    parser.add_argument("--machine", type=Path, default=HERE / "machine.txt", help="the list of what is there")
    parser.add_argument("--into", type=Path, default=ROOT / ".whl", help="the folder of wheels (default .whl)")
    parser.add_argument("--corpus", type=Path, help="a folder of real stores that travels too, packed")
    parser.add_argument("--target", default="/tmp/site", help="where they are installed there")
    parser.add_argument("--limit", type=float, help="MiB that may travel in all")
    parser.add_argument("--offline", action="store_true", help="check what the folder holds, and download nothing")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    if not options.offline:
        download(options.wanted, options.into)
    (options.into / "COMMIT").write_text(f"{timing.commit()}\n")
    if options.corpus:
        pack(options.corpus, options.into / "corpus.tar.xz")
    wheels = [Wheel.of(path) for path in sorted(options.into.glob("*.whl"))]
    said = problems(wheels, listed(options.machine), own_needs())
    missing = [name for name in listed(options.wanted) if name not in {wheel.name for wheel in wheels}]
    said += [f"{name} was not found" for name in missing]
    sizes = {str(options.into): folder_bytes(options.into), "sources": tree_bytes(ROOT), "the C library": compiled()}
    total = sum(sizes.values()) / 2**20
    rows = [[wheel.name, wheel.version, f"{wheel.nbytes / 2**20:.1f}"] for wheel in wheels]
    print(timing.table(["wheel", "version", "MiB"], rows))
    print("MiB: " + ", ".join(f"{name} {size / 2**20:.1f}" for name, size in sizes.items()) + f", all {total:.1f}")
    if options.limit and total > options.limit:
        said.append(f"{total:.1f} MiB are more than {options.limit:.0f}")
    if said:
        raise SystemExit("\n".join(said))
    inside = options.into.resolve().is_relative_to(ROOT)
    name = str(options.into.resolve().relative_to(ROOT)) if inside else str(options.into)
    print(f"all that is needed is there; to install it:\n{install_line(name, options.target)}")


if __name__ == "__main__":
    main()
