// Undo a byte shuffle, block by block (a block is what shuffle_write.cu shuffles at once). A block has n elements of
// `width` bytes; byte j of all elements is plane j, n bytes. Bytes after the last whole element are not moved. Source
// of the layout: c-blosc 1.21 shuffle-generic.h; numcodecs' shuffle is the same with one block for each chunk.
//
// blockIdx.x: the block; the threads of all blocks of its row (at most 256 each) share its pieces of 16 bytes of
// output.
//   table    rows of `count`: target address, bytes, width, first, 1 if its planes are separate (else 0)
//   planes   addresses of sources. Plane j of a block with separate planes is at planes[first + j], and it has whole
//            elements only; any other block is at planes[first], plane after plane
#include "planes.cuh"

struct Block {
    u8* target;
    u64 size, elements;
    u32 width;
    bool own;                // its planes are separate
    const u64* plane_table;
    u64 base;                // address of plane 0

    __device__ __forceinline__ u64 plane(u32 j) const { return own ? plane_table[j] : base + j * elements; }
};

__device__ __forceinline__ Block block_of(const u64* table, const u64* planes, u32 count)
{
    Block b;
    u64 row = count, i = blockIdx.x;
    b.target = global<u8>(table[i]);
    b.size = table[row + i];
    b.width = table[2 * row + i] ? (u32)table[2 * row + i] : 1;
    b.plane_table = planes + table[3 * row + i];
    b.own = table[4 * row + i] != 0;
    b.base = b.plane_table[0];
    b.elements = b.size / b.width;
    return b;
}

// Make bytes [at, end) of the block, one by one.
__device__ __forceinline__ void unshuffle_bytes(const Block& b, u64 at, u64 end)
{
    u64 whole = b.elements * b.width, e = at >> 32 ? at / b.width : (u32)at / b.width;
    u32 j = (u32)(at - e * b.width);
    for (; at < end && at < whole; ++at) {
        b.target[at] = global<const u8>(b.plane(j))[e];
        if (++j == b.width) j = 0, ++e;
    }
    for (; at < end; ++at) b.target[at] = global<const u8>(b.base)[at];
}

// Load what makes 16 bytes, elements from e on. The compiler sees that planes are in global memory only where it sees
// their addresses become pointers.
template <u32 WIDTH, bool EVEN>
__device__ __forceinline__ void load_piece(const u64* address, u64 e, typename Elements<WIDTH>::Part* part)
{
    const u8* plane[WIDTH];
#pragma unroll
    for (u32 j = 0; j < WIDTH; ++j) plane[j] = global<const u8>(address[j]);
    load_parts<WIDTH, EVEN>(plane, e, part);
}

// Make as many pieces from `at` on as make full rounds of all threads. Returns where this thread goes on.
template <u32 WIDTH, bool EVEN>
__device__ __forceinline__ u64 unshuffle_rounds(const Block& b, const u64* plane, u64 whole, u64 at)
{
    enum { AT_ONCE = Elements<WIDTH>::AT_ONCE };
    u64 stride = piece_stride();
    for (; at + (AT_ONCE - 1) * stride + PIECE <= whole; at += AT_ONCE * stride) {
        typename Elements<WIDTH>::Part part[AT_ONCE][WIDTH];
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) load_piece<WIDTH, EVEN>(plane, (at + k * stride) / WIDTH, part[k]);
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) store16(b.target + at + k * stride, Elements<WIDTH>::made(part[k]));
    }
    return at;
}

template <u32 WIDTH>
__device__ __forceinline__ void unshuffle_as(const Block& b)
{
    u64 plane[WIDTH], whole = b.elements * WIDTH, bits = 0;
#pragma unroll
    for (u32 j = 0; j < WIDTH; ++j) plane[j] = b.plane(j), bits |= plane[j];
    u64 at = first_piece();
    if (bits % (PIECE / WIDTH)) at = unshuffle_rounds<WIDTH, false>(b, plane, whole, at);
    else at = unshuffle_rounds<WIDTH, true>(b, plane, whole, at);
    for (; at + PIECE <= whole; at += piece_stride()) {
        typename Elements<WIDTH>::Part part[WIDTH];
        load_piece<WIDTH, false>(plane, at / WIDTH, part);
        store16(b.target + at, Elements<WIDTH>::made(part));
    }
    if (at < b.size) unshuffle_bytes(b, at, at + PIECE < b.size ? at + PIECE : b.size);
}

// Any other width. For width 1 the plane is the elements.
__device__ __forceinline__ void unshuffle_odd(const Block& b)
{
    const u8* base = global<const u8>(b.base);
    u64 whole = b.elements * b.width;
    for (u64 at = first_piece(); at < b.size; at += piece_stride()) {
        if (b.width == 1 && at + PIECE <= whole) store16(b.target + at, load16(base + at));
        else unshuffle_bytes(b, at, at + PIECE < b.size ? at + PIECE : b.size);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3)
unshuffle(const u64* table, const u64* planes, u32 count)
{
    if (blockIdx.x >= count) return;
    Block b = block_of(table, planes, count);
    if (b.width == 4) unshuffle_as<4>(b);
    else if (b.width == 2) unshuffle_as<2>(b);
    else if (b.width == 8) unshuffle_as<8>(b);
    else if (b.width == 16) unshuffle_as<16>(b);
    else unshuffle_odd(b);
}
