// Copy of a range of bytes by the threads of all blocks of one row (blockIdx.y, blockDim.x; PIECE in common.cuh).
#pragma once
#include "common.cuh"

// Stores are of 16 aligned bytes, except before the target's first and after its last multiple of 16.
__device__ __forceinline__ void copy_row(u8* target, const u8* source, u64 size)
{
    u64 head = (16 - ((u64)target & 15)) & 15;
    if (head > size) head = size;
    u64 tail = head + (size - head) / PIECE * PIECE;
    for (u64 at = head + first_piece(); at < tail; at += piece_stride()) *(uint4*)(target + at) = load16(source + at);
    if (blockIdx.y) return;
    for (u64 at = threadIdx.x; at < head; at += blockDim.x) target[at] = source[at];
    for (u64 at = tail + threadIdx.x; at < size; at += blockDim.x) target[at] = source[at];
}
