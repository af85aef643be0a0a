"""Documents of arrays that are the same but for what is the array's own: what they have in common is parsed once.

Stores of hundreds of variables are full of them, and are opened often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gpuzarr.metadata import ArrayMetadata

MAX_DOCUMENT_CHARACTERS = 4096  # longer ones are not kept
MAX_DOCUMENTS = 1024

Parse = Callable[[dict[str, Any]], ArrayMetadata]


def parsed(document: dict[str, Any], own: tuple[str, ...], parse: Parse) -> ArrayMetadata:
    """What `parse` makes of a document without its members `own`."""
    common = {name: value for name, value in document.items() if name not in own}
    try:
        text = json.dumps(common)
    except (TypeError, ValueError, RecursionError):  # a document that was not JSON
        return parse(common)
    return _parsed(text, parse) if len(text) <= MAX_DOCUMENT_CHARACTERS else parse(common)


@lru_cache(maxsize=MAX_DOCUMENTS)
def _parsed(text: str, parse: Parse) -> ArrayMetadata:
    return parse(json.loads(text))
