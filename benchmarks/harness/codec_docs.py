"""What is written of codecs: the README's table, and docs/codecs.md, both made from the code.

`python -m benchmarks.harness.tables` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gpuzarr import codecs
from gpuzarr.codecs.refused import ADVICE
from gpuzarr.tools import CodecRow, codec_table

PAGE = Path(__file__).parents[2] / "docs/codecs.md"
FAMILY = "imagecodecs_"  # has one row in the README
INTRODUCTION = """# Codecs

This page is generated from the code (`python -m benchmarks.harness.tables`). A section describes a file of
`gpuzarr/codecs/`; each codec has its names, the members of its configuration with their defaults in parentheses, the
packages that it needs beside NumPy, and what a GPU does with ordinary chunks, of integers where the codec takes these.
What a GPU does not do, CPU threads do for it. No GPU has run this yet, only an emulator.

A codec that is not built in is looked for in the entry point group `gpuzarr.codecs` (a class as in
`gpuzarr/codecs/contract.py`), then in numcodecs (entry point group `numcodecs.codecs`, and `numcodecs.register_codec`).
Built-in codecs take precedence over others of the same name. An entry point is code of a package that you installed; it
is imported when metadata names the codec, and not before.
"""


def _rows() -> list[CodecRow]:
    """Those of this package alone, in the order of the table."""
    others = codecs.others()
    return [row for row in codec_table() if row.name not in others]


def summary() -> str:
    """The README's table."""
    rows = [_line(row) for row in _rows() if not _is_of_family(row)]
    family = [row for row in _rows() if _is_of_family(row)]
    only = ", ".join(f"`{row.name.removeprefix(FAMILY)}`" for row in family if row.encode_cpu == "no")
    rows.append([f"`{FAMILY}NAME`", "the same", "imagecodecs", "yes", "yes", "", ""])
    heads = ["codec in Zarr v3", "id in v2", "package", "CPU decodes", "encodes", "CUDA decodes", "encodes"]
    return f"{table(heads, rows)}\nNAME: {len(family)} codecs, listed in `docs/codecs.md`. Only read: {only}.\n"


def _is_of_family(row: CodecRow) -> bool:
    """Whether imagecodecs runs it; some of these names are codecs of this package."""
    return str(_class_of(row, "__module__")).endswith(".imagecodecs")


def _line(row: CodecRow) -> list[str]:
    beside = [name for name in row.libraries if name != "numcodecs"]
    cuda = ["yes" if yes == "yes" else "" for yes in (row.decode_cuda, row.encode_cuda)]
    encodes = "yes" if not _class_of(row, "only_read") else ""
    return [code(row.names), code(row.ids), ", ".join(beside), "yes", encodes, *cuda]


def _class_of(row: CodecRow, attribute: str) -> Any:
    return getattr(codecs.registry()[(3, row.names[0]) if row.names else (2, row.ids[0])], attribute, None)


def page() -> str:
    """docs/codecs.md."""
    files: dict[str, list[CodecRow]] = {}
    for row in _rows():
        files.setdefault(_class_of(row, "__module__"), []).append(row)
    parts = [INTRODUCTION, *(_section(name, files[name]) for name in sorted(files))]
    refusals = [[f"`{name}`", advice] for name, advice in ADVICE.items()]
    parts.append(f"## Refused by name\n\n{table(['codec', 'why, and what to do'], refusals)}")
    return "\n".join(parts)


def _section(module: str, rows: list[CodecRow]) -> str:
    """A file of codecs: its docstring, and what there is to know of each."""
    file = f"gpuzarr/codecs/{module.rpartition('.')[2]}.py"
    title, _, rest = str(import_module(module).__doc__).strip().partition("\n")
    about = "\n".join(line.strip() for line in rest.strip().splitlines())
    parts = [f"## {title}\n", *([f"{about}\n"] if about else []), f"`{file}`\n"]
    if _is_of_family(rows[0]):
        lines = [[f"`{row.name}`", row.kind, "" if row.encode_cpu == "yes" else "only read"] for row in rows]
        return "\n".join([*parts, table(["codec", "kind in v3", ""], lines)])
    return "\n".join([*parts, *(_codec(row) for row in rows)])


def _codec(row: CodecRow) -> str:
    lines = [f"- Zarr v3: {code(row.names) or 'none'}; v2: {code(row.ids) or 'none'}; {row.kind}"]
    cls = codecs.registry()[(3, row.names[0]) if row.names else (2, row.ids[0])]
    if members := list(_members(cls)):
        lines.append(f"- configuration: {', '.join(members)}")
    if row.libraries:
        lines.append(f"- needs {', '.join(row.libraries)}")
    lines.append(f"- CUDA: {_on_cuda(row)}")
    said = str(getattr(cls, "__doc__", None) or "")
    about = "" if said.startswith(f"{getattr(cls, '__name__', '')}(") else " ".join(said.split())
    return f"### {row.name}\n\n" + (f"{about}\n\n" if about else "") + "\n".join(lines) + "\n"


def _members(cls: Any) -> Iterable[str]:
    for field in fields(cls) if is_dataclass(cls) else ():
        if not field.init or field.name.startswith("_"):
            continue
        yield f"`{field.name}`" if field.default is MISSING else f"`{field.name}` ({field.default!r})"


def _on_cuda(row: CodecRow) -> str:
    if row.decode_cuda == row.encode_cuda == "yes":
        return "decodes and encodes"
    if row.decode_cuda == "yes":
        return f"decodes; does not encode: {row.why_not_encode}"
    if row.encode_cuda == "yes":
        return f"encodes; does not decode: {row.why_not_decode}"
    return f"no: {row.why_not_decode}"


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
