"""List all codecs: their names in Zarr v2 and v3, and whether the CPU and a GPU decode and encode them.

What a GPU does not do, the CPU does for it. It needs no GPU, and no store.

Examples:

    gpuzarr codecs
    gpuzarr codecs --why
    gpuzarr codecs --json
"""

from __future__ import annotations

import argparse
from typing import Any

from gpuzarr.cli.output import add_output, print_json, table


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("codecs", help="the codecs, and which a GPU decodes and encodes", description=__doc__)
    parser.add_argument("--why", action="store_true", help="say why a GPU does not decode or encode a codec")
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    from gpuzarr.tools import codec_table

    rows = codec_table()
    if options.json:
        print_json({"codecs": rows})
        return
    headers = ["codec", "other names", "Zarr v2", "decode cpu", "cuda", "encode cpu", "cuda", "needs"]
    cells = [
        [
            row.name,
            ", ".join(row.names[1:]),
            ", ".join(row.ids),
            *(row.decode_cpu, row.decode_cuda, row.encode_cpu, row.encode_cuda),
            ", ".join(f"{name} (missing)" if name in row.missing else name for name in row.libraries),
        ]
        for row in rows
    ]
    table(headers, cells)
    if options.why:
        reasons = [[row.name, row.why_not_decode, row.why_not_encode] for row in rows if row.why_not_encode]
        table(["codec", "why a GPU does not decode it", "nor encode it"], reasons)
