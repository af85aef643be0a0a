// Copy many ranges of bytes between any addresses of the device. No source may overlap a target.
//
// blockIdx.x: the range; the threads of all blocks of its row share its pieces of 16 bytes.
//   table   rows of `count`: source address, target address, bytes
#include "copy.cuh"

extern "C" __global__ void copy(const u64* table, u32 count)
{
    if (blockIdx.x >= count) return;
    copy_row((u8*)table[(u64)count + blockIdx.x], (const u8*)table[blockIdx.x], table[2ull * count + blockIdx.x]);
}
