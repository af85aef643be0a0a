"""Operators of nodes: `==` between two of them; on an array, all others refuse, as does `==` with a value.

An array is not its values. A comparison that answers False, or arithmetic that reads gigabytes, would surprise: what is
between brackets is read, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from gpuzarr.errors import ArgumentError
from gpuzarr.metadata import ArrayMetadata, GroupMetadata, Node, files
from gpuzarr.stores.contract import Store

Kind = TypeVar("Kind", bound=type)

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
ARITHMETIC = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "matmul": "@",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "xor": "^",
    "or": "|",
}
UNARY = {"neg": "-a[...]", "pos": "+a[...]", "invert": "~a[...]"}
CALLED = {
    "abs": "abs(a[...])",
    "round": "a[...].round()",
    "trunc": "np.trunc(a[...])",
    "floor": "np.floor(a[...])",
    "ceil": "np.ceil(a[...])",
    "int": "int(a[...])",
    "float": "float(a[...])",
    "complex": "complex(a[...])",
}


class Stored(Protocol):
    """The members of a node that these functions use."""

    store: Store
    path: str

    @property
    def metadata(self) -> Node: ...


def comparable(kind: Kind) -> Kind:
    """Class decorator: nodes are equal if they are the same stored node with the same metadata."""

    def equal(self: Any, other: Any) -> Any:
        return _is_same(self, cast(Any, other)) if isinstance(other, kind) else NotImplemented

    def hashed(self: Any) -> int:
        place = _place(self)
        return hash(place if isinstance(place, str) else self.path)

    return _with(kind, {"__eq__": equal, "__hash__": hashed})


def without_arithmetic(kind: Kind) -> Kind:
    """Class decorator: `a == b` compares two arrays; all else that would need the values raises ArgumentError."""
    same: Any = kind.__eq__

    def equal(self: Any, other: Any) -> Any:
        if isinstance(getattr(other, "metadata", None), ArrayMetadata | GroupMetadata):
            return same(self, other)
        return _refuse(self, f"a[...] == {_operand(other)}")

    def truth(self: Any) -> bool:
        if self.size != 1:
            _refuse(self, "a[...].any(), a[...].all() or a.size")
        return bool(self[...])

    refused: dict[str, Callable[..., Any]] = {f"__{name}__": _binary(sign) for name, sign in COMPARISONS.items()}
    for name, sign in ({"divmod": "divmod"} | ARITHMETIC).items():
        refused |= {f"__{name}__": _binary(sign), f"__r{name}__": _binary(sign, is_reflected=True)}
    refused |= {f"__i{name}__": _binary(f"{sign}=") for name, sign in ARITHMETIC.items()}
    refused |= {f"__{name}__": _unary(advice) for name, advice in (UNARY | CALLED).items()}
    return _with(kind, {"__eq__": equal, "__hash__": kind.__hash__, "__bool__": truth, **refused})


def _with(kind: Kind, methods: dict[str, Callable[..., Any]]) -> Kind:
    for name, method in methods.items():
        setattr(kind, name, method)
    return kind


def _binary(sign: str, is_reflected: bool = False) -> Callable[[Any, Any], Any]:
    def refused(self: Any, other: Any, *_: Any) -> Any:
        sides = (_operand(other), "a[...]") if is_reflected else ("a[...]", _operand(other))
        return _refuse(self, f"divmod({', '.join(sides)})" if sign == "divmod" else f" {sign} ".join(sides))

    return refused


def _unary(advice: str) -> Callable[..., Any]:
    def refused(self: Any, *_: Any) -> Any:
        return _refuse(self, advice)

    return refused


def _operand(other: Any) -> str:
    return repr(other) if isinstance(other, int | float) and len(repr(other)) < 20 else "b"


def _refuse(array: Any, advice: str) -> Any:
    raise ArgumentError(f"{array!r} is stored, and has no values of its own to calculate with: read them, {advice}")


def _place(node: Stored) -> Any:
    """A value that tells the place of a node from others: for a folder its path, else the store and the path in it."""
    folder, mapping = getattr(node.store, "folder", None), getattr(node.store, "mapping", None)
    if isinstance(folder, str):
        return os.path.join(folder, node.path).rstrip("/")
    return (node.store if mapping is None else id(mapping)), node.path


def _is_same(one: Stored, other: Stored) -> bool:
    if one is other:
        return True
    return bool(_place(one) == _place(other)) and _facts(one.metadata) == _facts(other.metadata)


def _facts(node: Node) -> Any:
    """The documents of a node. As JSON, in which NaN is a text and equal to itself."""
    document = {name: member for name, member in node.document.items() if name != "attributes"}
    return node.zarr_format, files.plain(document), files.plain(node.attributes)
