// Copy many ranges of bytes from anywhere to anywhere on the device.
// blockIdx.x: the range; the threads of its blocks share its pieces of 16 bytes.
//   table   rows of `count`: source address, target address, bytes
// Ranges must not overlap a target.
#include "common.cuh"

extern "C" __global__ void copy(const u64* table, u32 count)
{
    if (blockIdx.x >= count) return;
    const u8* source = (const u8*)table[blockIdx.x];
    u8* target = (u8*)table[(u64)count + blockIdx.x];
    u64 size = table[2ull * count + blockIdx.x];
    for (u64 at = first_piece(); at < size; at += piece_stride()) {
        if (at + PIECE <= size) store16(target + at, load16(source + at));
        else for (u64 i = at; i < size; ++i) target[i] = source[i];
    }
}
