"""What a cubin says of its kernels: an ELF file of NVIDIA's, whose section .nv.info lists attributes of functions."""

from __future__ import annotations

import struct

_FRAME_SIZE, _REGISTERS = 0x11, 0x2F  # attributes: bytes of local memory, registers of a thread
_NUMBERS = 4  # the form of attributes that are a symbol and a number


def attributes(cubin: bytes) -> dict[str, dict[int, int]]:
    """Of each function the attributes that are a number."""
    sections = _sections(cubin)
    symbols, found = sections[".symtab"], {}
    names = sections[".strtab"]
    info, at = sections.get(".nv.info", b""), 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        if form == _NUMBERS and size == 8:
            symbol, number = struct.unpack_from("<II", info, at + 4)
            begin = struct.unpack_from("<I", symbols, 24 * symbol)[0]
            name = names[begin : names.index(b"\0", begin)].decode()
            found.setdefault(name, {})[attribute] = number
        at += 4 + (size if form == _NUMBERS else 0)
    return found


def local_memory(cubin: bytes) -> dict[str, int]:
    """Bytes of local memory that a thread of each function has: what registers could not hold."""
    return {name: numbers[_FRAME_SIZE] for name, numbers in attributes(cubin).items() if _FRAME_SIZE in numbers}


def registers(cubin: bytes) -> dict[str, int]:
    return {name: numbers[_REGISTERS] for name, numbers in attributes(cubin).items() if _REGISTERS in numbers}


def _sections(cubin: bytes) -> dict[str, bytes]:
    (table,), (count, of_names) = struct.unpack_from("<Q", cubin, 0x28), struct.unpack_from("<HH", cubin, 0x3C)
    headers = [struct.unpack_from("<IIQQQQ", cubin, table + 64 * i) for i in range(count)]
    texts = [cubin[offset : offset + size] for _, _, _, _, offset, size in headers]
    names = [texts[of_names][header[0] :].split(b"\0", 1)[0].decode() for header in headers]
    return dict(zip(names, texts, strict=True))
