"""Templates of kerchunk's documents: `{{name}}`, `{{name(argument=1)}}`, and the arithmetic that `gen` counts with.

They are a small part of Jinja2, which kerchunk fills them in with; whatever else Jinja2 knows is refused by name.
Source: kerchunk's specification of references, version 1.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from gpuzarr.checks import at, integer, mapping, required, sequence, shown
from gpuzarr.errors import MetadataError, UnsupportedError

MAX_GENERATED_REFERENCES = 1 << 22  # of one document: more are for references in parquet
MAX_RENDERED_CHARACTERS = 1 << 16
MAX_EXPRESSION_CHARACTERS = 1000
MAX_CALLS = 8  # of templates by templates
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
Names = Mapping[str, Any]


@dataclass(frozen=True)
class Templates:
    """The templates of a document, by their names; in one that has `{{...}}` itself, those are its arguments."""

    texts: Mapping[str, str]
    _known: dict[str, list[Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, value: Any) -> Templates:
        for name, text in mapping(value, "templates").items():
            if not isinstance(text, str):
                raise MetadataError(f"template {shown(name)} must be text, not {shown(text)}")
        return cls(value)

    def render(self, text: str, names: Names | None = None) -> str:
        """Fill in a text. UnsupportedError for what is more than names, calls of templates, and sums of integers."""
        return self._render(text, {} if names is None else names, 0)

    def _render(self, text: str, names: Names, depth: int) -> str:
        if "{{" not in text and "{%" not in text:
            return text
        rendered = [
            part if isinstance(part, str) else str(self._value(part, names, depth)) for part in self._parts(text)
        ]
        if sum(map(len, rendered)) > MAX_RENDERED_CHARACTERS:
            raise MetadataError(f"{shown(text)} becomes longer than {MAX_RENDERED_CHARACTERS} characters")
        return "".join(rendered)

    def _parts(self, text: str) -> list[Any]:
        """A text as its plain parts and its expressions, parsed."""
        if text not in self._known:
            pieces = _EXPRESSION.split(text)  # in turns
            if any(mark in piece for piece in pieces[::2] for mark in ("{{", "{%", "{#")):
                raise UnsupportedError(f"the template {shown(text)} has more than {{{{names}}}}")
            self._known[text] = [_parsed(piece) if i % 2 else piece for i, piece in enumerate(pieces)]
        return self._known[text]

    def _value(self, node: ast.expr, names: Names, depth: int) -> str | int:
        match node:
            case ast.Constant(value=str() | int() as value) if not isinstance(value, bool):
                return value
            case ast.Name(id=name):
                return self._named(name, names)
            case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords) if name in self.texts:
                if depth == MAX_CALLS or any(each.arg is None for each in keywords):
                    raise UnsupportedError(f"the call of template {name!r} in a template")
                arguments = {str(each.arg): self._value(each.value, names, depth) for each in keywords}
                return self._render(self.texts[name], arguments, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -_integer(self._value(operand, names, depth))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                sides = [_integer(self._value(side, names, depth)) for side in (left, right)]
                return _computed(_OPERATORS[type(op)], *sides)
        raise UnsupportedError(
            f"{{{{{ast.unparse(node)}}}}}: templates have names, calls with named values, + - * // %"
        )

    def _named(self, name: str, names: Names) -> str | int:
        if name in names:
            return names[name]
        if name not in self.texts:
            raise MetadataError(f"there is no template {name!r}")
        if "{{" in self.texts[name]:
            raise MetadataError(f"template {name!r} has arguments: call it")
        return self.texts[name]


def generated(value: Any, templates: Templates) -> Iterator[tuple[str, list[Any]]]:
    """Keys and references that the generators of a document (`gen`) make, at most MAX_GENERATED_REFERENCES of them."""
    count = 0
    for number, generator in enumerate(sequence(value, "gen")):
        with at(f"gen[{number}]"):
            dimensions = {
                name: _dimension(name, each)
                for name, each in mapping(required(mapping(generator, "it"), "dimensions"), "dimensions").items()
            }
            count += prod(map(len, dimensions.values()))
            if count > MAX_GENERATED_REFERENCES:
                raise UnsupportedError(f"more than {MAX_GENERATED_REFERENCES} references: write them as parquet")
            texts = {name: _text(generator, name) for name in ("key", "url", "offset", "length") if name in generator}
            if not {"key", "url"} <= texts.keys() or ("offset" in texts) != ("length" in texts):
                raise MetadataError("it must have a key, a url, and an offset and a length or neither")
            for members in product(*dimensions.values()):
                row = {
                    name: templates.render(text, dict(zip(dimensions, members, strict=True)))
                    for name, text in texts.items()
                }
                place = [_integer(row[name]) for name in ("offset", "length") if name in row]
                yield row["key"], [row["url"], *place]


def _dimension(name: str, value: Any) -> Any:
    """The values of a dimension: a list, or a range."""
    if isinstance(value, list):
        if not all(type(each) in (str, int) for each in value):
            raise MetadataError(f"dimension {shown(name)} must have texts and integers, not {shown(value)}")
        return value
    low, high = -(2**53), 2**53
    members = mapping(value, f"dimension {shown(name)}")
    start, stop = (
        integer(members.get("start", 0), "start", low, high),
        integer(required(members, "stop"), "stop", low, high),
    )
    return range(start, stop, integer(members.get("step", 1), "step", 1, high))


def _text(generator: dict[str, Any], name: str) -> str:
    value = generator[name]
    if type(value) not in (str, int):
        raise MetadataError(f"{name} must be text, not {shown(value)}")
    return str(value)


def _parsed(expression: str) -> ast.expr:
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise UnsupportedError(f"a template with an expression of {len(expression)} characters")
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UnsupportedError(f"{{{{{shown(expression)}}}}} in a template: {error}") from error


def _integer(value: str | int) -> int:
    if not re.fullmatch("-?[0-9]{1,19}", str(value)):
        raise MetadataError(f"a template counts with {shown(value)}, which is no integer of 64 bits")
    return int(value)


def _computed(operate: Callable[[int, int], int], left: int, right: int) -> int:
    try:
        return operate(left, right)
    except ArithmeticError as error:
        raise MetadataError(f"a template divides {left} by {right}") from error
