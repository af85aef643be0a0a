// Packbits: store a few bits of each element, or of each part of complex ones, without padding between them.
//
// blockIdx.x: the chunk; the blocks of threads of its row share its groups. A thread packs groups of 8 parts, which become
// `width` whole bytes.
//   table     rows of `count`: address of a chunk, aligned to `bytes`; of its bits
//   packed    bytes that hold a chunk's bits
//   parts     of a chunk
//   bytes     of a part: 1, 2, 4 or 8
//   width     bits of a part that are stored, the lowest one first; at most 8 * bytes - first
//   first     the lowest of them in the part
//   highest_first  1 where each part is stored as one bit, whether it is not 0, and a byte begins with the highest; else 0
#include "common.cuh"

__device__ __forceinline__ u64 part_at(const u8* from, u32 bytes, u64 i)
{
    if (bytes == 1) return from[i];
    if (bytes == 2) return ((const u16*)from)[i];
    if (bytes == 4) return ((const u32*)from)[i];
    return ((const u64*)from)[i];
}

extern "C" __global__ void
packbits(const u64* table, u64 packed, u64 parts, u32 bytes, u32 width, u32 first, u32 highest_first, u32 count)
{
    if (blockIdx.x >= count) return;
    const u8* from = global<const u8>(table[blockIdx.x]);
    u8* to = global<u8>(table[(u64)count + blockIdx.x]);
    u64 kept = width < 64 ? (1ull << width) - 1 : ~0ull, step = (u64)gridDim.y * blockDim.x;
    for (u64 group = (u64)blockIdx.y * blockDim.x + threadIdx.x; group * width < packed; group += step) {
        u64 at = group * width, end = at + width < packed ? at + width : packed;
        u32 byte = 0, filled = 0;  // the bits of the next byte, and how many there are
        for (u32 k = 0; k < 8; ++k) {
            u64 i = group * 8 + k, part = i < parts ? part_at(from, bytes, i) : 0;
            part = highest_first ? part != 0 : part >> first & kept;
            for (u32 left = width; left;) {
                u32 taken = left < 8 - filled ? left : 8 - filled;
                byte |= ((u32)part << filled) & 255;
                part >>= taken, left -= taken, filled += taken;
                if (filled == 8) {
                    if (at < end) to[at] = (u8)(highest_first ? __brev(byte) >> 24 : byte);
                    byte = 0, filled = 0, ++at;
                }
            }
        }
    }
}

// Write the number of padding bits of a chunk to its address.
extern "C" __global__ void padding(const u64* table, u32 padding, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) *global<u8>(table[i]) = (u8)padding;
}
