"""Documents in which something is wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def damage(data: st.DataObject, document: Any, values: st.SearchStrategy[Any]) -> None:
    """Make some member of a JSON document, however deep, another value, or delete it."""
    node = document
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
        elif data.draw(st.booleans()):
            node[key] = data.draw(values)
            return
        else:
            del node[key]
            return
