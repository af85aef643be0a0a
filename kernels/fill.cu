// Find the rows of a batch that hold one value only, bit for bit.
//
// blockIdx.x: the row; the threads of all its blocks share its pieces of 16 bytes.
//   rows      the batch: `count` rows of `size` bytes, one after another
//   pattern   16 bytes: the value, repeated
//   differs   `count` zeros; on return 1 for a row that holds another value
#include "common.cuh"

extern "C" __global__ void fill_differs(const u8* rows, u64 size, const u8* pattern, u32* differs, u32 count)
{
    if (blockIdx.x >= count) return;
    const u8* row = rows + blockIdx.x * size;
    uint4 want = load16(pattern);
    bool other = false;
    for (u64 at = first_piece(); at < size && !other; at += piece_stride()) {
        if (at + PIECE <= size) {
            uint4 v = load16(row + at);
            other = v.x != want.x || v.y != want.y || v.z != want.z || v.w != want.w;
        } else for (u64 i = at; i < size; ++i) other = other || row[i] != pattern[i - at];
    }
    if (other) atomicOr(differs + blockIdx.x, 1u);
}
