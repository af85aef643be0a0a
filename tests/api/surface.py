"""The public API of zarr-python, by introspection; and which parts of it a program uses, by its syntax."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import zarr
import zarr.codecs
import zarr.codecs.numcodecs
import zarr.dtype
import zarr.errors
import zarr.storage
from zarr.core.attributes import Attributes

MORE_KEYWORDS = {  # functions with **kwargs, and those to which these go
    **dict.fromkeys(("zeros", "ones", "empty", "full", "array", "open_array", "save_array"), "create"),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "full_like", "open_like"), "create"),
    "open": "create",
    "open_consolidated": "open_group",
    **dict.fromkeys((f"Group.{name}" for name in ("zeros", "ones", "empty", "full")), "create"),
    **dict.fromkeys((f"Group.{name}_like" for name in ("zeros", "ones", "empty", "full")), "create"),
    "Group.require_array": "create_array",
}
_GIVEN = frozenset(("store", "path"))  # by groups themselves
NOT_TAKEN = {  # keywords that zarr-python hands on, but gives itself, or to a function that does not take them
    **dict.fromkeys(("zeros", "ones", "zeros_like", "ones_like"), frozenset(("fill_value",))),
    **dict.fromkeys(("open_array", "open", "open_like"), frozenset(("overwrite",))),
    "save_array": {
        *("chunks", "dtype", "synchronizer", "chunk_store", "filters", "cache_metadata", "cache_attrs", "read_only"),
        *("object_codec", "write_empty_chunks", "meta_array", "shape", "chunk_shape", "data"),
    },
    **dict.fromkeys(("Group.zeros", "Group.ones", "Group.zeros_like", "Group.ones_like"), _GIVEN | {"fill_value"}),
    **dict.fromkeys(("Group.empty", "Group.full", "Group.empty_like", "Group.full_like"), _GIVEN),
    "Group.require_array": {"store", "zarr_format", "data", "write_data"},  # values, but it also wants a shape
}
ROLES = {"z": "Array", "g": "Group"}  # the first letter of a name in a program -> what it is
CLASSES: dict[str, type] = {"Array": zarr.Array, "Group": zarr.Group, "Attributes": Attributes}
VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def surface() -> set[str]:
    """Everything public and synchronous: `create`, `create(shape)`, `Array.append(axis)`, `codecs.GzipCodec(level)`."""
    found = set()
    for name in zarr.__all__:
        found |= set(_described(name, getattr(zarr, name))) if callable(getattr(zarr, name)) else {name}
    for kind, cls in CLASSES.items():
        for name, member in inspect.getmembers(cls):
            if not name.startswith("_") and not inspect.iscoroutinefunction(member):
                found |= set(_described(f"{kind}.{name}", member))
    for module in ("codecs", "storage", "dtype", "errors"):
        names = getattr(zarr, module).__all__
        for name in (n for n in names if "JSON" not in n and "DTypeSpec" not in n):  # but not types of annotations
            member = getattr(getattr(zarr, module), name)
            classes = module in ("codecs", "dtype") and inspect.isclass(member)
            found |= set(_described(f"{module}.{name}", member)) if classes else {f"{module}.{name}"}
    found |= {f"codecs.numcodecs.{name}" for name in zarr.codecs.numcodecs.__all__ if not name.startswith("_")}
    return found | {f"config[{name}]" for name in _settings(zarr.config.config)}


def _settings(config: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from [f"{above}{name}"] if name == "codecs" else _settings(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _described(name: str, member: Any) -> Iterator[str]:
    yield name
    if not inspect.isclass(member) or not name[0].isupper():  # the classes of nodes are made by functions
        yield from (f"{name}({keyword})" for keyword in keywords(name, member))


def keywords(name: str, member: Any) -> list[str]:
    """The keywords of a function, in their order, with those of the function that gets its **kwargs."""
    try:
        parameters = list(inspect.signature(member).parameters.values()) if callable(member) else []
    except ValueError:  # of exceptions, and others made in C
        return []
    found = [p.name for p in parameters if p.kind not in VARIADIC and p.name not in ("self", "cls")]
    more = MORE_KEYWORDS.get(name)
    handed_on = [] if more is None else keywords(more, getattr(zarr, more))
    return [k for k in dict.fromkeys([*found, *handed_on]) if k in found or k not in NOT_TAKEN.get(name, ())]


class Uses(ast.NodeVisitor):
    """The parts of the API that a program uses, named as in `surface`."""

    def __init__(self, program: str) -> None:
        self.found: set[str] = set()
        self.visit(ast.parse(program))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if name := _name(node):
            self.found.add(name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if name := _name(node.func):
            member = _member(name)
            positions = keywords(name, member)[: len([a for a in node.args if not isinstance(a, ast.Starred)])]
            given = [*positions, *(k.arg for k in node.keywords if k.arg)]
            self.found |= {f"{name}({keyword})" for keyword in given}
            if name == "config.set":
                self.found |= {f"config[{key.value}]" for key in node.args[0].keys}  # type: ignore[attr-defined]
        self.generic_visit(node)


def _name(node: ast.expr) -> str | None:
    """`create` for `zarr.create`, `Array.append` for `z.append`, `Attributes.put` for `z.attrs.put`; else None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not names:
        return None
    if node.id == "zarr":
        return ".".join(names)
    if (role := ROLES.get(node.id[0])) is None or not re.fullmatch(r"\d*", node.id[1:]):
        return None
    return f"Attributes.{names[1]}" if names[0] == "attrs" and len(names) > 1 else f"{role}.{names[0]}"


def _member(name: str) -> Any:
    first, _, rest = name.partition(".")
    found: Any = CLASSES.get(first, getattr(zarr, first, None))
    for part in rest.split(".") if rest else []:
        found = getattr(found, part, None)
    return found
