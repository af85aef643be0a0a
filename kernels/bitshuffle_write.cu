// Blosc's bit shuffle, block by block. A block has n elements of `width` bytes, n a multiple of 8. Bit k of byte j of
// all elements becomes plane 8 * j + k: n / 8 bytes, with element e in bit e % 8 of byte e / 8. Bytes after the last
// whole element are not moved. The reverse, and the source of the layout: bitshuffle.cu. A block whose n is no multiple
// of 8 is not shuffled; copy.cu copies it.
//
// blockIdx.x: the block; the blocks of threads of its row (blockIdx.y) share its tiles. A tile has as many groups of 32
// elements as give each thread one byte of one group. It is loaded in order into shared memory, from which a thread
// takes 32 bytes, transposes them, and stores 4 bytes in each of 8 planes. Needs 256 threads and width <= 256.
//   table, planes   as in shuffle_write.cu
#include "bits.cuh"

#define THREADS 256
#define GROUP 32  // elements

extern "C" __global__ void __launch_bounds__(THREADS) bitshuffle(const u64* table, const u64* planes, u32 count)
{
    // A group has 32 * width bytes and 4 more, so that the lanes of a warp use different banks.
    __shared__ u32 tile[THREADS * GROUP / 4 + THREADS];
    if (blockIdx.x >= count) return;
    u64 row = count, i = blockIdx.x;
    u8* target = global<u8>(table[i]);
    u64 size = table[row + i];
    u32 width = (u32)table[2 * row + i];
    const u8* base = global<const u8>(planes[table[3 * row + i]]);
    if (width == 0 || width > THREADS) return;

    u64 elements = size / width, bit_plane = elements / 8;
    u32 groups = THREADS / width, group_bytes = GROUP * width;
    u32 q = threadIdx.x % groups, j = threadIdx.x / groups;  // this thread's group and byte
    const u8* bytes = (const u8*)tile;

    u64 tile_elements = (u64)groups * GROUP;
    for (u64 first = blockIdx.y * tile_elements; first < elements; first += gridDim.y * tile_elements) {
        u64 left = (elements - first) * width;
        u32 there = left < groups * group_bytes ? (u32)left : groups * group_bytes;
        for (u32 o = threadIdx.x * PIECE; o < there; o += THREADS * PIECE) {
            u32* w = tile + (o + 4 * (o / group_bytes)) / 4;
            const u8* from = base + first * width + o;
            if (o + PIECE <= there) {
                uint4 v = load16(from);
                w[0] = v.x, w[1] = v.y, w[2] = v.z, w[3] = v.w;
            } else for (u32 b = 0; o + b < there; ++b) ((u8*)w)[b] = from[b];
        }
        __syncthreads();
        u64 at = first / 8 + 4 * q;  // in a bit plane
        if (j < width && at < bit_plane) {
            u32 inside = bit_plane - at < 4 ? (u32)(bit_plane - at) : 4;  // bytes of each plane
            u32 word[8] = {0, 0, 0, 0, 0, 0, 0, 0};
#pragma unroll
            for (u32 s = 0; s < 4; ++s) {
                if (s >= inside) continue;
                u64 x = 0;
#pragma unroll
                for (u32 e = 0; e < 8; ++e) x |= (u64)bytes[q * (group_bytes + 4) + (8 * s + e) * width + j] << (8 * e);
                x = transpose8x8(x);
#pragma unroll
                for (u32 k = 0; k < 8; ++k) word[k] |= (u32)(x >> (8 * k) & 255) << (8 * s);
            }
#pragma unroll
            for (u32 k = 0; k < 8; ++k) {
                u8* to = target + (8ull * j + k) * bit_plane + at;
                if (inside == 4) store4(to, word[k]);
                else for (u32 b = 0; b < inside; ++b) to[b] = (u8)(word[k] >> (8 * b));
            }
        }
        __syncthreads();
    }
    if (blockIdx.y == 0)
        for (u64 at = elements * width + threadIdx.x; at < size; at += THREADS) target[at] = base[at];
}
