"""What is carried to a machine without a network is all that is needed there, and no more."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytest.importorskip("zarr")
from benchmarks.sessions import wheels
from benchmarks.sessions.prove import arguments_of
from benchmarks.sessions.steps import SESSIONS
from benchmarks.sessions.wheels import Wheel, listed, problems

MACHINE: dict[str, str | None] = {"numpy": "2.5.2", "pyyaml": None, "typing-extensions": None}


def wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(["Metadata-Version: 2.1", *lines, "", "x"]))
    return path


def of(folder: Path, name: str, version: str, *needs: str) -> Wheel:
    return Wheel.of(wheel(folder, name, version, *needs))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    zarr = of(tmp_path, "zarr", "3.4.2", "msgspec>=0.19", "numpy>=2", "Typing_Extensions>=4", "donfig; extra == 'x'")
    assert problems([zarr], MACHINE) == ["zarr needs msgspec>=0.19, which is missing"]
    old = of(tmp_path, "msgspec", "0.18", "importlib-resources; python_version < '3.12'")
    assert problems([zarr, old], MACHINE) == ["zarr needs msgspec>=0.19, not 0.18"]
    new = of(tmp_path, "msgspec", "0.22.0")
    assert problems([zarr, new], MACHINE) == []
    assert problems([zarr, new, old], MACHINE)[0] == "msgspec is there 2 times"
    assert problems([of(tmp_path, "numpy", "2.5.5")], MACHINE) == ["numpy is on the machine already"]
    assert problems([zarr, new], MACHINE | {"numpy": "1.26"}) == ["zarr needs numpy>=2, not 1.26"]
    assert problems([], MACHINE, [Requirement("isal>=1.7")]) == ["gpuzarr needs isal>=1.7, which is missing"]


def test_the_lists_are_enough_for_gpuzarr() -> None:
    """By their names and versions alone; the wheels themselves say what else they need, where there is a network."""
    wanted, machine = listed(wheels.HERE / "wheels.txt"), listed(wheels.HERE / "machine.txt")
    assert all(wanted.values()) and "msgspec" in wanted and "tensorstore" in machine
    carried = [Wheel(name, str(version), 0, ()) for name, version in wanted.items()]
    assert problems(carried, machine, wheels.own_needs()) == []


def test_size_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder, wanted = tmp_path / ".whl", tmp_path / "wanted.txt"
    folder.mkdir()
    wheel(folder, "some", "1.0")
    wanted.write_text("# a comment\nsome==1.0\n")
    monkeypatch.setattr(wheels, "own_needs", list)
    monkeypatch.setattr(wheels, "tree_bytes", lambda root: 3 << 20)
    how = ["--offline", "--into", str(folder), "--wanted", str(wanted)]
    wheels.main([*how, "--limit", "4"])
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("python3 -m pip install -q --no-index") and f"{folder}/*.whl" in said
    assert (folder / "COMMIT").read_text().strip()
    with pytest.raises(SystemExit, match="more than 3"):
        wheels.main([*how, "--limit", "3"])
    wanted.write_text("some==1.0\nother==1.0\n")
    with pytest.raises(SystemExit, match="other was not found"):
        wheels.main(how)


def test_the_readme_says_one_line_a_session() -> None:
    """To be pasted as it is: it installs all that the script checks, and keeps the archive."""
    lines = [line.strip() for line in (wheels.ROOT / "benchmarks/README.md").read_text().splitlines()]
    pasted = [line for line in lines if line.startswith("python3 -m pip install")]
    assert [line.partition(" && python3 -m benchmarks.sessions.prove ")[0] for line in pasted] == [
        wheels.install_line(".whl", "/tmp/site")
    ] * len(SESSIONS)
    for number, line in zip(SESSIONS, pasted, strict=True):
        options = arguments_of(line.partition("benchmarks.sessions.prove ")[2].split())
        assert options.session == number and options.archive == Path(f"$OUT/session{number}.tar.gz")
        assert options.kernels == Path(".whl/compiled/gpuzarr") and len(line) < 2000
        runs_tests = {"suite", "sanitizer-memcheck"} & set(SESSIONS[number])
        assert options.corpus == (Path(".whl/corpus.tar.xz") if runs_tests else None)
