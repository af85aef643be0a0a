"""Processes that are soon made: forks of one that has imported little, not of one as large as that of the tests."""

from __future__ import annotations

import multiprocessing

FROM_A_SMALL_ONE = multiprocessing.get_context("forkserver")
FROM_A_SMALL_ONE.set_forkserver_preload(["__main__", "tests.write.forever"])  # which uses gpuzarr once
