// Copy many ranges of bytes between any addresses of the device. No source may overlap a target.
//
// blockIdx.x: the range; the threads of all blocks of its row share its pieces of 16 bytes.
//   table   rows of `count`: source address, target address, bytes
#include "copy.cuh"

extern "C" __global__ void copy(const u64* table, u32 count)
{
    if (blockIdx.x >= count) return;
    u64 row = count, i = blockIdx.x;
    copy_row(global<u8>(table[row + i]), global<const u8>(table[i]), table[2 * row + i]);
}
