"""Fixtures that every test may ask for: the devices to run on."""

import gc
import os
from importlib import import_module
from pkgutil import walk_packages
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

from gpuzarr import native
from gpuzarr.stores.local import new_files, open_files
from tests import hardware, isolation, places
from tests.attack.rounds import COUNTS, told
from tests.cupy_stand_in.border import cp, cupy_device, host_copies  # noqa: F401 (fixtures)
from tests.isolation import (  # noqa: F401 (hooks of pytest)
    pytest_pyfunc_call,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
)
from tests.servers.fixtures import azurite, faulty, moto, nginx  # noqa: F401 (fixtures)
from tests.stub_cuda import cuda, stub  # noqa: F401 (fixtures)

# No test depends on time, also of a law: others may use this machine.
settings.register_profile("without clocks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without clocks")


def examples(number):
    """How many a property is tried on: `number`, or fewer where a tool makes each of them slow."""
    return min(number, int(os.environ.get("GPUZARR_EXAMPLES", number)))


def pytest_configure(config):
    isolation.pytest_configure(config)
    places.begin()


def pytest_sessionfinish(exitstatus):
    places.end(exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED))


def pytest_collection_finish():
    """Have no collection of garbage look at the tests themselves: at millions of objects, half a second each time.

    Frozen objects do not count as old ones, so Python would look at all others every few thousand allocations.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


def pytest_terminal_summary(terminalreporter):
    """Say how much was tried of attacks, where there were any (`make attack`)."""
    if COUNTS:
        terminalreporter.write_line(told(len(terminalreporter.stats.get("failed", ()))))


@pytest.fixture(params=["cpu", "emulated", "cuda"])
def device(request):
    return hardware.DEVICES[request.param]()


@pytest.fixture(params=["emulated", "cuda"])
def gpu(request):
    """A device that runs kernels and nvCOMP."""
    return hardware.DEVICES[request.param]()


@pytest.fixture(params=["forward", "backward", "shuffled", "cuda"])
def threads(request):
    """A device that runs kernels, with its threads in three orders."""
    seeds = {"forward": 0, "backward": -1, "shuffled": 7}
    return hardware.emulated(seeds[request.param]) if request.param in seeds else hardware.cuda()


@pytest.fixture(scope="session")
def compiled():
    """The C library, which is there."""
    if native.library() is None:
        pytest.skip("no C compiler when gpuzarr was installed")
    return native.library()


@pytest.fixture
def python_files(monkeypatch):
    """Files are written by Python, so that a test can have its calls fail; what fails in C is done again by Python."""
    monkeypatch.setattr(new_files, "native", SimpleNamespace(library=lambda: None))


@pytest.fixture(params=["compiled", "interpreted"])
def loops(request, monkeypatch):
    """Loops over many chunks or files are those of the C library; or of Python, as where it was not compiled."""
    if request.param == "interpreted":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("no C compiler when gpuzarr was installed")
    monkeypatch.setattr(open_files, "MIN_TOGETHER", 1)
    return request.param


@pytest.fixture
def thresholds(monkeypatch):
    """Set constants of a room, in every module that has imported them: thresholds("gpuzarr.write", MAX_X=3)."""

    def set_to(room, **constants):
        found = walk_packages(import_module(room).__path__, f"{room}.")
        modules = [import_module(each.name) for each in found]  # all, or one that comes later would keep the constant
        for name, value in constants.items():
            users = [module for module in modules if hasattr(module, name)]
            assert users, f"{room} has no {name}"
            for module in users:
                monkeypatch.setattr(module, name, value)

    return set_to
