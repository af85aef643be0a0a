// Byte shuffle, block by block (a block is what is shuffled at once). A block has n elements of `width` bytes; byte j
// of all elements becomes plane j, n bytes. Bytes after the last whole element are not moved. The reverse, and the
// source of the layout: shuffle.cu.
//
// blockIdx.x: the block; the threads of all blocks of its row share its groups of 16 elements. A thread loads a group,
// and stores 16 bytes in each plane. Widths of 2, 4, 8, 12 and 16 use 16-byte loads and PRMT, others single bytes.
//   table    rows of `count`: target address, bytes, width, first, unused
//   planes   addresses of sources; a block is at planes[first]
#include "common.cuh"

#define GROUP 16  // elements

__device__ __forceinline__ void store_words(u8* to, u32 x, u32 y, u32 z, u32 w)
{
    uint4 v;
    v.x = x, v.y = y, v.z = z, v.w = w;
    store16(to, v);
}

__device__ __forceinline__ void planes2(const u8* from, u8* to, u64 elements)
{
    uint4 a = load16(from), b = load16(from + 16);
    store_words(to, __byte_perm(a.x, a.y, 0x6420), __byte_perm(a.z, a.w, 0x6420),
                __byte_perm(b.x, b.y, 0x6420), __byte_perm(b.z, b.w, 0x6420));
    store_words(to + elements, __byte_perm(a.x, a.y, 0x7531), __byte_perm(a.z, a.w, 0x7531),
                __byte_perm(b.x, b.y, 0x7531), __byte_perm(b.z, b.w, 0x7531));
}

// Elements of WORDS words: each column of 16 words is 4 planes.
template <u32 WORDS> __device__ __forceinline__ void planes4(const u8* from, u8* to, u64 elements)
{
    u32 word[GROUP * WORDS];
#pragma unroll
    for (u32 i = 0; i < GROUP * WORDS; i += 4) {
        uint4 v = load16(from + 4 * i);
        word[i] = v.x, word[i + 1] = v.y, word[i + 2] = v.z, word[i + 3] = v.w;
    }
#pragma unroll
    for (u32 c = 0; c < WORDS; ++c) {
        u32 plane[4][4];
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            u32 x = word[4 * k * WORDS + c], y = word[(4 * k + 1) * WORDS + c];
            u32 z = word[(4 * k + 2) * WORDS + c], w = word[(4 * k + 3) * WORDS + c];
            u32 low1 = __byte_perm(x, y, 0x5140), low2 = __byte_perm(z, w, 0x5140);
            u32 high1 = __byte_perm(x, y, 0x7362), high2 = __byte_perm(z, w, 0x7362);
            plane[0][k] = __byte_perm(low1, low2, 0x5410), plane[1][k] = __byte_perm(low1, low2, 0x7632);
            plane[2][k] = __byte_perm(high1, high2, 0x5410), plane[3][k] = __byte_perm(high1, high2, 0x7632);
        }
#pragma unroll
        for (u32 j = 0; j < 4; ++j)
            store_words(to + (4 * c + j) * elements, plane[j][0], plane[j][1], plane[j][2], plane[j][3]);
    }
}

__device__ __forceinline__ u32 column(const u8* from, u64 width)
{
    return from[0] | (u32)from[width] << 8 | (u32)from[2 * width] << 16 | (u32)from[3 * width] << 24;
}

// A group of elements of any width; `there`: elements that are left.
__device__ __forceinline__ void planes_any(const u8* from, u8* to, u64 elements, u64 width, u64 there)
{
    for (u64 j = 0; j < width; ++j, to += elements, ++from) {
        if (there >= GROUP)
            store_words(to, column(from, width), column(from + 4 * width, width),
                        column(from + 8 * width, width), column(from + 12 * width, width));
        else for (u64 e = 0; e < there; ++e) to[e] = from[e * width];
    }
}

extern "C" __global__ void __launch_bounds__(256, 2) shuffle(const u64* table, const u64* planes, u32 count)
{
    if (blockIdx.x >= count) return;
    u64 row = count, i = blockIdx.x;
    u8* target = global<u8>(table[i]);
    u64 size = table[row + i], width = table[2 * row + i] ? table[2 * row + i] : 1;
    const u8* base = global<const u8>(planes[table[3 * row + i]]);
    u64 elements = size / width, thread = (u64)blockIdx.y * blockDim.x + threadIdx.x;
    for (u64 e = thread * GROUP; e < elements; e += (u64)gridDim.y * blockDim.x * GROUP) {
        const u8* from = base + e * width;
        u8* to = target + e;
        if (e + GROUP > elements) planes_any(from, to, elements, width, elements - e);
        else if (width == 1) store16(to, load16(from));
        else if (width == 2) planes2(from, to, elements);
        else if (width == 4) planes4<1>(from, to, elements);
        else if (width == 8) planes4<2>(from, to, elements);
        else if (width == 12) planes4<3>(from, to, elements);
        else if (width == 16) planes4<4>(from, to, elements);
        else planes_any(from, to, elements, width, GROUP);
    }
    if (blockIdx.y == 0)
        for (u64 at = elements * width + threadIdx.x; at < size; at += blockDim.x) target[at] = base[at];
}
