// Undo a byte shuffle, block by block (a block: what was shuffled at once; the way there: shuffle_write.cu). Of a block of n elements of
// `width` bytes, byte j of all elements is plane j, n bytes; what is left after whole elements is not moved.
// Source of the layout: c-blosc 1.21 shuffle-generic.h; numcodecs' shuffle is the same with one block a chunk.
//
// blockIdx.x: the block; the threads of its rows share its pieces of 16 bytes of output.
//   table    rows of `count`: target address, bytes, width, first, planes of its own (0 or 1)
//   planes   addresses of sources. A block with planes of its own finds plane j at planes[first + j] (such a
//            block has whole elements only); any other block lies at planes[first], plane after plane.
// The byte transposes by PRMT: facts are checked by tests/test_kernels.py against NumPy.
#include "common.cuh"

struct Block {
    u8* target;
    u64 size, elements;
    u32 width;
    bool own;                // planes of its own
    const u64* plane_table;
    const u8* base;          // of plane 0

    __device__ __forceinline__ const u8* plane(u32 j) const
    {
        return own ? (const u8*)plane_table[j] : base + j * elements;
    }
};

__device__ __forceinline__ Block block_of(const u64* table, const u64* planes, u32 count)
{
    Block b;
    u64 row = count, i = blockIdx.x;
    b.target = (u8*)table[i];
    b.size = table[row + i];
    b.width = table[2 * row + i] ? (u32)table[2 * row + i] : 1;
    b.plane_table = planes + table[3 * row + i];
    b.own = table[4 * row + i] != 0;
    b.base = (const u8*)b.plane_table[0];
    b.elements = b.size / b.width;
    return b;
}

__device__ __forceinline__ uint4 words(u32 x, u32 y, u32 z, u32 w)
{
    uint4 v;
    v.x = x, v.y = y, v.z = z, v.w = w;
    return v;
}

// 16 bytes of output that begin with element e of the block; e + 16 / width <= elements.
__device__ __forceinline__ uint4 elements2(const Block& b, u64 e)
{
    uint2 p = load8(b.plane(0) + e), q = load8(b.plane(1) + e);
    return words(__byte_perm(p.x, q.x, 0x5140), __byte_perm(p.x, q.x, 0x7362),
                 __byte_perm(p.y, q.y, 0x5140), __byte_perm(p.y, q.y, 0x7362));
}

__device__ __forceinline__ uint4 elements4(const Block& b, u64 e)
{
    u32 p0 = load4(b.plane(0) + e), p1 = load4(b.plane(1) + e), p2 = load4(b.plane(2) + e), p3 = load4(b.plane(3) + e);
    u32 low01 = __byte_perm(p0, p1, 0x5140), low23 = __byte_perm(p2, p3, 0x5140);
    u32 high01 = __byte_perm(p0, p1, 0x7362), high23 = __byte_perm(p2, p3, 0x7362);
    return words(__byte_perm(low01, low23, 0x5410), __byte_perm(low01, low23, 0x7632),
                 __byte_perm(high01, high23, 0x5410), __byte_perm(high01, high23, 0x7632));
}

__device__ __forceinline__ uint4 elements8(const Block& b, u64 e)
{
    u32 pair[4];
#pragma unroll
    for (u32 j = 0; j < 4; ++j) pair[j] = load2(b.plane(2 * j) + e) | load2(b.plane(2 * j + 1) + e) << 16;
    return words(__byte_perm(pair[0], pair[1], 0x6420), __byte_perm(pair[2], pair[3], 0x6420),
                 __byte_perm(pair[0], pair[1], 0x7531), __byte_perm(pair[2], pair[3], 0x7531));
}

__device__ __forceinline__ uint4 elements16(const Block& b, u64 e)
{
    u32 w[4];
#pragma unroll
    for (u32 j = 0; j < 4; ++j) {
        w[j] = b.plane(4 * j)[e] | (u32)b.plane(4 * j + 1)[e] << 8;
        w[j] |= (u32)b.plane(4 * j + 2)[e] << 16 | (u32)b.plane(4 * j + 3)[e] << 24;
    }
    return words(w[0], w[1], w[2], w[3]);
}

// Bytes [at, end) of the block, one by one.
__device__ __forceinline__ void unshuffle_bytes(const Block& b, u64 at, u64 end)
{
    u64 whole = b.elements * b.width, e = at / b.width;
    u32 j = (u32)(at - e * b.width);
    for (; at < end && at < whole; ++at) {
        b.target[at] = b.plane(j)[e];
        if (++j == b.width) j = 0, ++e;
    }
    for (; at < end; ++at) b.target[at] = b.base[at];
}

extern "C" __global__ void unshuffle(const u64* table, const u64* planes, u32 count)
{
    if (blockIdx.x >= count) return;
    Block b = block_of(table, planes, count);
    u64 whole = b.elements * b.width;
    for (u64 at = first_piece(); at < b.size; at += piece_stride()) {
        u8* to = b.target + at;
        if (at + PIECE > whole) unshuffle_bytes(b, at, at + PIECE < b.size ? at + PIECE : b.size);
        else if (b.width == 4) store16(to, elements4(b, at / 4));
        else if (b.width == 2) store16(to, elements2(b, at / 2));
        else if (b.width == 8) store16(to, elements8(b, at / 8));
        else if (b.width == 16) store16(to, elements16(b, at / 16));
        else if (b.width == 1) store16(to, load16(b.base + at));
        else unshuffle_bytes(b, at, at + PIECE);
    }
}
