// Undo Blosc's bit shuffle, block by block. A block has n elements of `width` bytes, n a multiple of 8. Bit k of byte j
// of all elements is plane 8 * j + k: n / 8 bytes, with element e in bit e % 8 of byte e / 8. Bytes after the last
// whole element are not moved. Source: c-blosc 1.21 bitshuffle-generic.h. A block whose n is no multiple of 8 was not
// shuffled; copy.cu copies it.
//
// blockIdx.x: the block; the blocks of threads of its row (blockIdx.y) share its tiles. A tile has as many groups of 32
// elements as give each thread one byte of one group. A thread loads 4 bytes of each of that byte's 8 bit planes,
// transposes them, and stores 32 bytes in shared memory, from which the tile is written in order. Needs 256 threads and
// width <= 256.
//   table, planes   as in shuffle.cu; a separate plane is the 8 bit planes of one byte, n bytes
#include "bits.cuh"

#define THREADS 256
#define GROUP 32  // elements

extern "C" __global__ void __launch_bounds__(THREADS) bitunshuffle(const u64* table, const u64* planes, u32 count)
{
    // A group has 32 * width bytes and 4 more, so that the lanes of a warp use different banks.
    __shared__ u32 tile[THREADS * GROUP / 4 + THREADS];
    if (blockIdx.x >= count) return;
    u64 row = count, i = blockIdx.x;
    u8* target = global<u8>(table[i]);
    u64 size = table[row + i];
    u32 width = (u32)table[2 * row + i];
    const u64* plane = planes + table[3 * row + i];
    bool own = table[4 * row + i] != 0;
    const u8* base = global<const u8>(plane[0]);
    if (width == 0 || width > THREADS) return;

    u64 elements = size / width, bit_plane = elements / 8;
    u32 groups = THREADS / width, group_bytes = GROUP * width;
    u32 q = threadIdx.x % groups, j = threadIdx.x / groups;  // this thread's group and byte
    const u8* from = global<const u8>(j < width ? (own ? plane[j] : plane[0] + j * elements) : plane[0]);
    u8* bytes = (u8*)tile;

    u64 tile_elements = (u64)groups * GROUP;
    for (u64 first = blockIdx.y * tile_elements; first < elements; first += gridDim.y * tile_elements) {
        u64 at = first / 8 + 4 * q;  // in a bit plane
        if (j < width && at < bit_plane) {
            u32 word[8] = {0, 0, 0, 0, 0, 0, 0, 0}, bits = bit_plane - at < 4 ? 8 * (u32)(bit_plane - at) : 32;
            if (bit_plane & 3) take<false>(from + at, (u32)bit_plane, 0, 0, bits, word);
            else take<true>(from + at, (u32)bit_plane, 0, 0, bits, word);
            transpose8(word);
#pragma unroll
            for (u32 s = 0; s < 4; ++s) {
#pragma unroll
                for (u32 e = 0; e < 8; ++e)
                    bytes[q * (group_bytes + 4) + (8 * s + e) * width + j] = (u8)(word[e] >> (8 * s));
            }
        }
        __syncthreads();
        u64 left = (elements - first) * width;
        u32 there = left < groups * group_bytes ? (u32)left : groups * group_bytes;
        for (u32 o = threadIdx.x * PIECE; o < there; o += THREADS * PIECE) {
            const u32* w = tile + (o + 4 * (o / group_bytes)) / 4;
            u8* to = target + first * width + o;
            if (o + PIECE <= there) {
                uint4 v;
                v.x = w[0], v.y = w[1], v.z = w[2], v.w = w[3];
                store16(to, v);
            } else for (u32 b = 0; o + b < there; ++b) to[b] = ((const u8*)w)[b];
        }
        __syncthreads();
    }
    if (blockIdx.y == 0)
        for (u64 at = elements * width + threadIdx.x; at < size; at += THREADS) target[at] = base[at];
}
