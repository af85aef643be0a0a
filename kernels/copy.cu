// Copy many ranges of bytes from anywhere to anywhere on the device.
// blockIdx.x: the range; the threads of its blocks share its pieces of 16 bytes.
//   table   rows of `count`: source address, target address, bytes
// Ranges must not overlap a target.
#include "copy.cuh"

extern "C" __global__ void copy(const u64* table, u32 count)
{
    if (blockIdx.x >= count) return;
    copy_row((u8*)table[(u64)count + blockIdx.x], (const u8*)table[blockIdx.x], table[2ull * count + blockIdx.x]);
}
