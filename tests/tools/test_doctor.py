"""`gpuzarr.tools.doctor`: which versions do not fit together, and what it says of machines of several kinds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gpuzarr
from gpuzarr import native
from gpuzarr.devices.cuda import driver as drivers
from gpuzarr.devices.cuda.driver import Driver, Gpu
from gpuzarr.errors import DeviceError
from gpuzarr.tools import doctor, doctor_machine, doctor_rules
from gpuzarr.tools.doctor_rules import LEAST, LEAST_CUPY, NEEDED, OPTIONAL, mismatches

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
GOOD = {**dict.fromkeys(NEEDED, "99"), "numpy": "2.4.0"}
CUDA13 = {"cupy-cuda13x": "14.2.0", "nvidia-libnvcomp-cu13": "6.0.0.12", "kvikio-cu13": "26.8.0"}
CUDA12 = {name.replace("13", "12"): each for name, each in CUDA13.items()}
NONE, OLD, NEW = Driver(None, None), Driver((12, 8), "570.1"), Driver((13, 0), "580.65.06")


def found(installed, driver):
    return [(one.name, one.status) for one in mismatches({**GOOD, **installed}, driver)]


@pytest.mark.parametrize(
    ("installed", "driver", "expected"),
    [
        ({}, NONE, []),
        ({}, NEW, []),
        (CUDA13, NEW, []),
        (CUDA12, NEW, []),  # drivers run older versions of CUDA
        (CUDA12, OLD, []),
        (CUDA13, OLD, [("CUDA", "problem")]),
        ({**CUDA13, **CUDA12}, NEW, [("CuPy", "problem")]),
        ({"cupy-cuda13x": "14.2.0", "nvidia-libnvcomp-cu12": "6.0.0"}, NEW, [("CUDA", "problem")]),
        ({"cupy-cuda13x": "14.2.0", "cupy": "14.2.0"}, NEW, [("CuPy", "problem")]),
        ({**CUDA13, "cupy-cuda13x": "14.1.0"}, NEW, [("cupy-cuda13x", "problem")]),
        ({**CUDA13, "cupy-cuda13x": "13.6.0"}, NEW, [("cupy-cuda13x", "problem")]),
        ({**CUDA13, "nvidia-libnvcomp-cu13": "5.1.0"}, NEW, [("nvidia-libnvcomp-cu13", "problem")]),
        (CUDA13, NONE, [("kvikio-cu13", "warning")]),
        ({"zfpy": "1.0.1.post0"}, NONE, [("zfpy", "problem")]),
        ({"zfpy": "1.0.1"}, NONE, []),
        ({"numpy": "1.26.4"}, NONE, [("numpy", "problem")]),
        ({"zarr": "2.18.7"}, NONE, [("zarr", "warning")]),
    ],
)
def test_versions_that_do_not_fit_together(installed, driver, expected):
    assert found(installed, driver) == expected


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing(name):
    (one,) = mismatches({each: "99" for each in NEEDED if each != name}, NONE)
    assert (one.name, one.status, one.mend) == (name, "problem", f"pip install '{name}>={NEEDED[name]}'")


@pytest.mark.parametrize("installed", [{**CUDA13, **CUDA12}, CUDA13, {"zfpy": "1.0.1.post0"}, {"numpy": "1.0"}])
def test_each_problem_has_a_command(installed):
    problems = [one for one in mismatches({**GOOD, **installed}, OLD) if one.status == "problem"]
    assert problems and all(re.match(r"(pip|uv|apt|docker) ", one.mend) for one in problems)
    if installed == CUDA13:
        assert problems[0].mend.endswith("&& pip install 'gpuzarr[cuda12]'") and "cupy-cuda13x" in problems[0].mend


def test_versions_are_those_of_the_project():
    """What is needed, from which version on, is said in pyproject.toml, too."""
    assert [f"{name}>={least}" for name, least in NEEDED.items()] == PROJECT["dependencies"]
    extras = PROJECT["optional-dependencies"]
    lines = [line.replace("[array]", "") for extra in extras.values() for line in extra]
    for name, least in LEAST.items():
        assert any(re.match(rf"{name}>={re.escape(least)}(\D|$)", line) for line in lines), name
    assert f"cupy-cuda13x[ctk]>={LEAST_CUPY},!=14.1.0" in extras["cuda13"]
    for name, extra in OPTIONAL.items():
        assert not extra or any(re.match(rf"{name}\b", line) for line in extras[extra]), (name, extra)


def statuses(diagnosis, topic):
    return {one.name: one.status for one in diagnosis.examined if one.topic == topic}


def test_a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(doctor_machine, "driver", lambda: NONE)
    monkeypatch.setattr(doctor_machine, "why_not_cuda", lambda ordinal: "no driver")
    report = doctor("cpu")
    assert statuses(report, "GPU") == {"driver": "fact"} and statuses(report, "GDS") == {"GPUDirect Storage": "fact"}
    assert statuses(report, "trial") == {"round trip on cpu": "ok"} and not report.of("problem")


def test_a_machine_with_a_gpu(monkeypatch, tmp_path):
    """As far as that can be told without one: what CUDA and cuFile say is made up, the trials run on the emulator."""
    gpu = Gpu("NVIDIA H200", "9.0", 100 << 30, 140 << 30, (13, 0))
    monkeypatch.setattr(doctor_machine, "driver", lambda: NEW)
    monkeypatch.setattr(doctor_machine, "why_not_cuda", lambda ordinal: None)
    monkeypatch.setattr(doctor_machine, "gpus", lambda: [gpu])
    monkeypatch.setattr(doctor_machine, "TRIAL_BYTES", 1 << 16)
    for why, status in ((None, "ok"), ("nvidia-fs is not loaded", "fact")):
        monkeypatch.setattr(doctor_machine.gds, "why_not", lambda folder, why=why: why)
        report = doctor("cpu", tmp_path)
        assert statuses(report, "GPU") == {"driver": "ok", "cuda:0": "ok"}
        assert statuses(report, "GDS") == {"GPUDirect Storage": status}
    (text,) = [one.text for one in report.examined if one.name == "cuda:0"]
    assert text == "NVIDIA H200, compute capability 9.0, 100 GiB of 140 GiB free, CUDA runtime 13.0"


def test_trials(device, monkeypatch):
    monkeypatch.setattr(doctor_machine, "TRIAL_BYTES", 1 << 16)
    found = statuses(doctor(device), "trial")
    assert set(found.values()) == {"ok"} and len(found) == (3 if device.gpu else 1)


def test_a_device_that_fails(monkeypatch):
    def fails(device):
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    monkeypatch.setattr(doctor_machine, "_round_trip", fails)
    report = doctor("cpu")
    assert report and [one.text for one in report.of("problem")] == ["RuntimeError: CUDA_ERROR_ILLEGAL_ADDRESS"]


def test_values_that_differ_are_a_problem(monkeypatch):
    monkeypatch.setattr(doctor_machine.np, "array_equal", lambda a, b: False)
    assert "differ" in doctor("cpu").of("problem")[0].text


@pytest.mark.parametrize(
    ("driver", "packages", "status"),
    [(Driver(None, "580.1"), {}, "problem"), (NEW, {}, "warning"), (NEW, CUDA13, "problem")],
)
def test_a_gpu_that_cannot_be_used(driver, packages, status):
    found = list(doctor_machine._gpu(driver, "CuPy is not installed", packages))
    assert found[-1].status == status and found[-1].mend


@pytest.mark.parametrize("has_compiler", [True, False])
def test_the_c_library_is_missing(has_compiler, monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)
    monkeypatch.setattr(doctor_machine.shutil, "which", lambda name: "/usr/bin/cc" if has_compiler else None)
    (one,) = doctor_machine._library()
    assert one.status == "warning" and one.mend.endswith("build.py")
    assert one.mend.startswith("apt install gcc") != has_compiler


def test_a_package_that_cannot_be_imported(tmp_path):
    """In a process of its own: numcodecs raises what it raises beside a zfpy whose version it cannot parse."""
    (tmp_path / "numcodecs").mkdir()
    (tmp_path / "numcodecs" / "__init__.py").write_text("raise ValueError('invalid version number')")
    root = Path(doctor_rules.__file__).parents[2]
    paths = f"import sys; sys.path[:0] = {[str(tmp_path), str(root)]}"
    code = f"{paths}; from gpuzarr.cli import main; sys.exit(main(['doctor', '--device', 'cpu']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "invalid version number" in done.stdout and "Traceback" not in done.stderr


def test_the_driver_is_asked_without_cupy(tmp_path, monkeypatch):
    module = tmp_path / "version"
    module.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: gcc 12"
    )
    monkeypatch.setattr(drivers, "KERNEL_MODULE", module)

    def get_version(pointer):
        pointer._obj.value = 13020
        return 0

    library = SimpleNamespace(cuDriverGetVersion=get_version)
    monkeypatch.setattr(drivers.ctypes, "CDLL", lambda name: library)
    assert drivers.driver() == Driver((13, 2), "580.65.06")
    module.unlink()
    library.cuDriverGetVersion = lambda pointer: 100
    assert drivers.driver() == NONE


def test_gpus_are_asked_by_cupy(monkeypatch):
    class Device:
        def __init__(self, ordinal):
            self.compute_capability = ("90", "120")[ordinal]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    runtime = SimpleNamespace(
        getDeviceCount=lambda: 2,
        memGetInfo=lambda: (1, 2),
        getDeviceProperties=lambda ordinal: {"name": b"a GPU"},
        runtimeGetVersion=lambda: 13000,
    )
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, Device=Device)))
    assert drivers.gpus() == [Gpu("a GPU", "9.0", 1, 2, (13, 0)), Gpu("a GPU", "12.0", 1, 2, (13, 0))]


def test_a_device_that_there_is_not():
    with pytest.raises(DeviceError):
        doctor("tpu")


def test_the_report_as_a_dict():
    found = doctor("cpu").asdict()
    assert found["problems"] is False and set(found["examined"][0]) == {"topic", "name", "status", "text", "mend"}
    assert np.all([one["status"] in ("ok", "fact", "warning") for one in found["examined"]])


def test_debug_info_is_what_doctor_finds(capsys: pytest.CaptureFixture[str]) -> None:
    gpuzarr.print_debug_info()
    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [one.name for one in doctor().examined] and {"Python", "numpy", "zarr"} <= set(names)
