// Find the first bad stream of a batch. `bad` holds the lowest number so far, 0xffffffff for none. And drop_failed.
//
// A thread looks at one stream.
#include "common.cuh"

// A stream is bad if nvCOMP's status is not 0 or it did not become as many bytes as expected.
extern "C" __global__ void bad_status(const i32* status, const u64* actual, const u64* expected, u32 count, u32* bad)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && (status[i] != 0 || actual[i] != expected[i])) atomicMin(bad, i);
}

// A chunk is bad if the four bytes at stored[i] (of any alignment; `selector` puts them in order, 0x3210 for
// little-endian, 0x0123 for big-endian) are not value[i].
extern "C" __global__ void bad_checksum(const u32* value, const u64* stored, u32 selector, u32 count, u32* bad)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && __byte_perm(load4((const u8*)stored[i]), 0, selector) != value[i]) atomicMin(bad, i);
}

// A stream that was not compressed, or to more than `most` bytes, has 0 bytes from here on.
extern "C" __global__ void drop_failed(const i32* status, u64 most, u64* actual, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && (status[i] != 0 || actual[i] > most)) actual[i] = 0;
}
