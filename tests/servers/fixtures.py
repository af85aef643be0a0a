"""Fixtures of servers. Each is started once in a process, when a test first asks for it; skipped where missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.servers import real
from tests.servers.faults import Proxy, proxied


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Web]:
    if real.program("nginx") is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    for above in (folder, folder.parent):  # workers of a server that root started are another user's
        above.chmod(0o755)
    with real.nginx(folder) as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[real.S3]:
    if (missing := real.why_no_moto()) is not None:
        pytest.skip(missing)
    with real.moto() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[real.Azure]:
    if real.program("azurite-blob") is None:
        pytest.skip("Azurite is not installed (npm install azurite)")
    with real.azurite() as server:
        yield server


@pytest.fixture
def faulty() -> Iterator[Callable[[int], Proxy]]:
    """Put a proxy that can break answers before the server at a port."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(proxied(port))
