"""A session on a GPU as one document and one archive, written anew after every step: what ends it loses no more than
the step that ran."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import timing
from benchmarks.sessions import tell
from benchmarks.sessions.steps import BENCHMARKS, PROBES

LOG_BYTES = 1 << 20  # of a log, its last ones go into the archive
PARTS = {f"probe_{name}" for name in PROBES} | set(BENCHMARKS) | {"costs", "suite", "write_pyramid"}


class Session:
    """`folder` holds the logs and the JSON of its steps; `archive` gets all of that, if it is named."""

    def __init__(self, folder: Path, settings: dict[str, Any], archive: Path | None = None) -> None:
        self.folder, self._archive = folder, archive
        self.done: list[dict[str, Any]] = []
        self._begin = time.time() - 1  # what is older, another session left there
        self._about = {"benchmark": "session", **timing.machine(), "settings": settings}
        self._clocks = {"before": timing.clocks()}
        self.place = folder / f"{name_of(self._about)}.json"

    def add(self, found: dict[str, Any]) -> None:
        self.done.append(found)
        self.write()

    def finish(self) -> None:
        self._clocks["after"] = timing.clocks()
        self.write()

    def write(self) -> None:
        timing.write(self.place, self.document())
        if self._archive:
            pack(self.folder, self._archive)

    def document(self) -> dict[str, Any]:
        """The machine, the steps, every JSON that they left, and what each test of the sanitizer's came to."""
        ours = [path for path in sorted(self.folder.glob("*.json*")) if path.stat().st_mtime >= self._begin]
        parts = {path.stem: path for path in ours if path.stem in PARTS and path.suffix == ".json"}
        results = {name: found for name, path in parts.items() if (found := _json(path)) is not None}
        sanitized = {path.stem: tests(path) for path in ours if path.match("sanitizer-*.jsonl")}
        clocks = {"clocks": self._clocks, "sanitizer": sanitized}
        return {**self._about, **clocks, "steps": self.done, "results": results}


def tests(told: Path) -> dict[str, Any]:
    found, begun = tell.read(told)
    return {**tell.counts(found.values()), "not ended": begun, "failures": tell.failures(found.values())}


def _json(path: Path) -> Any:
    """None where there is no JSON in it."""
    with suppress(ValueError):
        return json.loads(path.read_text())
    return None


def name_of(document: dict[str, Any]) -> str:
    """GPU and time, as a file is named."""
    gpu = re.sub(r"[^a-z0-9]+", "-", (document["gpu"] or "no-gpu").lower()).strip("-")
    return f"{gpu}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def pack(folder: Path, archive: Path) -> None:
    """All files below `folder` as a .tar.gz, of logs the last part; in one step, so that it is always whole."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_name(f".{archive.name}.part")
    with tarfile.open(part, "w:gz", compresslevel=6) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in (archive, part):
                _add(tar, path, f"{folder.name}/{path.relative_to(folder)}")
    part.replace(archive)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    if path.stat().st_size <= LOG_BYTES or path.suffix != ".log":
        tar.add(path, name)
        return
    with path.open("rb") as log, tempfile.NamedTemporaryFile() as end:
        log.seek(-LOG_BYTES, 2)
        end.write(log.read())
        end.flush()
        tar.add(end.name, name)
