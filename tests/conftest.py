"""Fixtures that every test may ask for: the devices to run on."""

import os
from importlib import import_module
from pkgutil import walk_packages

import pytest

from tests import hardware, nasty
from tests.isolation import (  # noqa: F401 (hooks of pytest)
    pytest_configure,
    pytest_pyfunc_call,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
)
from tests.stub_cuda import cuda, stub  # noqa: F401 (fixtures)


def examples(number):
    """How many a property is tried on: `number`, or fewer where a tool makes each of them slow."""
    return min(number, int(os.environ.get("GPUZARR_EXAMPLES", number)))


def pytest_terminal_summary(terminalreporter):
    """Say how many hostile inputs were tried, where they were asked for (`make attack`)."""
    if nasty.COUNTS and "GPUZARR_ATTACK_ROUNDS" in os.environ:
        said = ", ".join(f"{count:,} {kind}" for kind, count in nasty.COUNTS.items())
        failed = len(terminalreporter.stats.get("failed", ()))
        terminalreporter.write_line(f"hostile inputs tried: {said}; tests that failed: {failed}")


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
