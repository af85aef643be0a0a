"""Chunks placed by the kernel and by NumPy: plain ones, and ones whose bytes or bits are still shuffled."""

import numpy as np

from gpuzarr.gpu.place import Chunks, fits, place
from gpuzarr.gpu.planes import Planes
from gpuzarr.indexing.blocks import together
from gpuzarr.indexing.flip import ascending, flipped
from gpuzarr.indexing.grid import parts
from tests.emulator.fences import fenced
from tests.grids import chunk_at

RNG = np.random.default_rng(11)


def stored(device, pieces, permutation, swapped, offset):
    """Chunks on the device, with their axes in another order, maybe in the other byte order, at odd addresses."""
    rows = [piece.transpose(permutation).copy("C") for piece in pieces]
    rows = [row.byteswap() if swapped else row for row in rows]
    nbytes = rows[0].nbytes
    data = np.frombuffer(b"\xee" * offset + b"".join(row.tobytes() + b"\xee" * offset for row in rows), np.uint8)
    there = device.upload(data)
    starts = offset + np.arange(len(rows)) * (nbytes + offset)
    strides = np.empty(rows[0].ndim, int)
    strides[list(permutation)] = rows[0].strides
    kind = rows[0].dtype
    unit = kind.itemsize // 2 if kind.kind == "c" else kind.itemsize
    addresses = np.uint64(device.address(there)) + starts.astype(np.uint64)
    return Chunks(addresses, tuple(strides.tolist()), unit if swapped else 1, there)


def check(
    device, array, grid, selection, *,
    permutation, swapped=False, offset=0, missing=None, transposed=False, store=stored,
):  # fmt: skip
    """Place all parts of a selection by the kernel, and compare with NumPy's assignments of the same parts."""
    kind = array.dtype
    shape = selection.shape
    order = tuple(range(len(shape)))[:: -1 if transposed else 1]
    out = device.upload(np.full([shape[i] for i in order], -7).astype(kind)).transpose(order)
    want = np.full(shape, -7).astype(kind)
    target, wanted = flipped(selection, out), flipped(selection, want)
    found = list(parts(ascending(selection), tuple(grid), (0,) * len(grid)))
    for chunk_shape in {box.chunk_shape for box in found}:
        boxes = [box for box in found if box.chunk_shape == chunk_shape]
        pieces = [chunk_at(array, grid, row) for box in boxes for row in box.coords.tolist()]
        there = np.ones(len(pieces), bool) if missing is None else missing(len(pieces))
        assert fits(chunk_shape, target, device)
        some = [piece for piece, is_there in zip(pieces, there, strict=True) if is_there]
        chunks = store(device, some, permutation, swapped, offset) if some else None
        place(device, [(together(boxes), (target,))], there, chunks, 3)
        first = 0
        for box in boxes:
            batch = np.stack(pieces[first : first + len(box)])
            batch[~there[first : first + len(box)]] = 3
            box.place(batch, wanted, np)
            first += len(box)
    np.testing.assert_array_equal(device.download(out), want)


def lay(device, pieces, offset):
    """The pieces on the device, and their addresses; where that can be, between fences, in front or behind."""
    if device.name == "emulated":
        return fenced(pieces, RNG.random(len(pieces)) < 0.5, offset % 4)
    sizes = np.array([len(piece) + offset for piece in pieces])
    memory = device.upload(np.concatenate([np.pad(piece, (0, offset)) for piece in pieces]))
    return np.uint64(device.address(memory)) + (np.cumsum(sizes) - sizes).astype(np.uint64), memory


def planes_of(chunk, width, block):
    """The byte planes of the bytes of a chunk, shuffled block by block."""
    cuts = [chunk[at : at + block].reshape(-1, width) for at in range(0, len(chunk), block)]
    return [np.ascontiguousarray(cut[:, j]) for cut in cuts for j in range(width)]


def bit_planes_of(chunk, width, block):
    """The same, of each byte its 8 bit planes."""
    return [
        np.packbits(np.unpackbits(plane[:, None], axis=1, bitorder="little").T, bitorder="little")
        for plane in planes_of(chunk, width, block)
    ]


def shuffling(elements, of_bits=()):
    """As `stored`, but every third chunk lies as it is and the others are cut into blocks of about so many.

    Chunks whose number modulo 4 is in `of_bits` have their bits shuffled; then so many must be a multiple of 8.
    """

    def store(device, pieces, permutation, swapped, offset):
        kind, width = pieces[0].dtype, pieces[0].dtype.itemsize
        rows = [np.array(piece.transpose(permutation), order="C") for piece in pieces]
        strides = np.empty(pieces[0].ndim, int)
        strides[list(permutation)] = rows[0].strides
        parts, count, blocks, first = [], [], [], []
        for number, row in enumerate(rows):
            plain = (row.byteswap() if swapped else row).reshape(-1).view(np.uint8)
            block = width * (elements + (8 if of_bits else 5) * (number % 2)) if number % 3 != 2 else 0
            scoped_scratch = bit_planes_of if number % 4 in of_bits else planes_of
            made = scoped_scratch(plain, width, block) if block else [plain]
            first.append(sum(len(p) for p, b in zip(count, blocks, strict=True) if b))
            parts += made
            count.append(made)
            blocks.append(block)
        places, held = lay(device, parts, offset)
        of = np.repeat(np.arange(len(rows)), [len(made) for made in count])
        lies = np.array(blocks)[of] == 0
        addresses = np.zeros(len(rows), np.uint64)
        addresses[of[lies]] = places[lies]
        bits = [len(plain) if block and number % 4 in of_bits else 0 for number, block in enumerate(blocks)]
        planes = Planes(width, addresses, np.array(blocks), np.array(first), places[~lies], np.array(bits), held)
        unit = width // 2 if kind.kind == "c" else width
        return Chunks(addresses, tuple(strides.tolist()), unit if swapped else 1, held, planes)

    return store
