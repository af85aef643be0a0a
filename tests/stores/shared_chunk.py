"""Writers of one chunk: what each of several Array objects writes of it is there at the end."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import gpuzarr


def each_element_is_written_once(arrays: Sequence[gpuzarr.Array]) -> None:
    """Write element i of one array by one of these objects, all of them at once, each by a thread of its own."""
    count = arrays[0].shape[0]

    def write(number: int) -> None:
        for i in range(number, count, len(arrays)):
            arrays[number][i] = i

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(arrays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arrays[0][...].tolist() == list(range(count))
