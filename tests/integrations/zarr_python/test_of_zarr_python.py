"""zarr-python's own tests with our pipeline, where its sources lie in the folder that GPUZARR_ZARR_SOURCES names.

Wheels come without them. For the version that is installed:

    pip install pytest-asyncio pytest-benchmark
    pip download --no-binary :all: --no-deps zarr==3.4.2 && tar xzf zarr-3.4.2.tar.gz
    GPUZARR_ZARR_SOURCES=zarr-3.4.2 pytest tests/integrations/zarr_python/test_of_zarr_python.py
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = os.environ.get("GPUZARR_ZARR_SOURCES", "")
LEFT_OUT = ("test_docs.py", "test_examples.py", "benchmarks", "test_cli", "test_store/test_stateful.py")
EXPECTED = {  # tests that fail, and why that is no fault
    r"test_sharding\w*\.py::test_sharding_(multiple_chunks_partial_shard_read|duplicate_read_indexes)": (
        "counts which methods of a store zarr-python's own codec calls, by a mock"
    ),
    r"test_sharding\.py::test_sharding_partial_shard_read__(index_load|index_chunk_slice|chunk_load)_fails": (
        "has functions inside of zarr-python's own codec fail, which nobody calls"
    ),
    r"test_sharding_unit\.py::test_load_partial_shard_": "counts calls inside of zarr-python's own codec",
    r"test_sharding\.py::test_encoded_subchunk_write_order\[morton\]": (
        "looks at where chunks are in a shard: as they are encoded here, in Morton's order there; both are read by both"
    ),
    r"test_array\.py::test_create_array_with_data_num_gets": "counts reads of shards, of which there is none here",
    r"test_config\.py::test_config_codec_pipeline_class": "wants zarr-python's own pipeline to be the configured one",
    r"test_config\.py::test_config_codec_implementation": "has a codec of its own, and takes our warning for an error",
}

pytestmark = [
    pytest.mark.skipif(not SOURCES, reason="GPUZARR_ZARR_SOURCES does not name the sources of zarr-python"),
    pytest.mark.skipif(importlib.util.find_spec("pytest_asyncio") is None, reason="pytest-asyncio is not installed"),
]


def test_nothing_fails_that_zarr_python_does_not_expect(tmp_path):
    """zarr-python is told of the pipeline as by an installed package: by an entry point and an environment variable."""
    entry = tmp_path / "pipeline-1.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: pipeline\nVersion: 1\n")
    (entry / "entry_points.txt").write_text("[zarr.codec_pipeline]\nours = gpuzarr.zarr:Pipeline\n")
    folders = [str(Path(__file__).parents[3]), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(folders), "ZARR_CODEC_PIPELINE__PATH": "gpuzarr.zarr.Pipeline"}
    ignored = [f"--ignore=tests/{name}" for name in LEFT_OUT]
    command = [sys.executable, "-m", "pytest", "tests", "-q", "--tb=no", "-n0", "-p", "no:cacheprovider", *ignored]
    done = subprocess.run(
        [*command, "-m", "not slow_hypothesis", "-W", "default::gpuzarr.errors.DefaultPipelineWarning"],
        capture_output=True,
        text=True,
        cwd=SOURCES,
        env=os.environ | environment,
    )
    assert re.search(r"\d+ passed", done.stdout), done.stdout[-2000:] + done.stderr[-2000:]
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert [name for name in failed if not any(re.search(each, name) for each in EXPECTED)] == []
