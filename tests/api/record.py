"""Record what programs give with zarr-python, for environments that have an older one: `python -m tests.api.record`.

`outcomes.json` has a digest of each outcome, and the classes of each error.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.api.programs import PROGRAMS
from tests.api.running import Outcome, run

FILE = Path(__file__).parent / "outcomes.json"


def brief(outcome: Outcome) -> Any:
    """What is recorded of an outcome: the classes of its error, or a digest of result, documents and chunks."""
    if outcome.error is not None:
        kinds = type(outcome.error).__mro__
        return [kind.__name__ for kind in kinds[: kinds.index(Exception)]]
    found = [outcome.result, outcome.documents, sorted(outcome.chunks)]
    text = json.dumps(found, sort_keys=True, skipkeys=True, default=lambda value: type(value).__name__)
    return sha256(text.encode()).hexdigest()[:16]


def recorded() -> dict[str, Any]:
    """The records by the names of the programs, and the version of zarr-python as "zarr"."""
    return json.loads(FILE.read_text())


def main() -> None:
    import zarr

    found = {name: brief(run(program, zarr)) for name, program in PROGRAMS.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
    FILE.write_text(f'{{\n"zarr": {json.dumps(zarr.__version__)},\n{lines}\n}}\n')


if __name__ == "__main__":
    main()
