// Checks of the streams of a batch, one thread for each stream. `bad` gets the lowest number of a bad one, and is
// 0xffffffff while there is none.
#include "common.cuh"

// A stream is bad if nvCOMP's status is not 0, or if it was not decoded to the expected number of bytes.
extern "C" __global__ void bad_status(const i32* status, const u64* actual, const u64* expected, u32 count, u32* bad)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && (status[i] != 0 || actual[i] != expected[i])) atomicMin(bad, i);
}

// A chunk is bad if the four bytes at stored[i] (at any alignment) are not value[i]. `selector` gives their order:
// 0x3210 little-endian, 0x0123 big-endian.
extern "C" __global__ void bad_checksum(const u32* value, const u64* stored, u32 selector, u32 count, u32* bad)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && __byte_perm(load4(global<const u8>(stored[i])), 0, selector) != value[i]) atomicMin(bad, i);
}

// Set the size of a stream to 0 if it was not compressed, or to more than `most` bytes.
extern "C" __global__ void drop_failed(const i32* status, u64 most, u64* actual, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && (status[i] != 0 || actual[i] > most)) actual[i] = 0;
}
