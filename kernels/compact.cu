// Pack streams whose sizes only the device knows: `place` computes where each starts, `compact` copies it, `ends` writes
// the header and trailer that its format has, and `prefix` a header that is the same for all. `ranges` makes a table of them.
//
//   sizes    bytes of each stream; 0 for one that failed, which takes no space
//   starts   offset of each in the target, in bytes; multiples of PACKED
//   extra    bytes of a header and trailer (place); head: those of a header (compact)
//   totals   bytes of each stream with its header and trailer; 0 for one that failed
//   target, capacity   memory for the streams, and its bytes; nothing is written beyond it
#include "copy.cuh"
#include "scan.cuh"

#define THREADS 256
#define PACKED 16

// An exclusive sum by one block: THREADS streams in each round, one for each thread. `carry`: the sum of earlier
// rounds.
extern "C" __global__ void __launch_bounds__(THREADS)
place(const u64* sizes, u64 extra, u64* starts, u64* totals, u32 count)
{
    __shared__ u64 sums[THREADS];
    u32 t = threadIdx.x;
    u64 carry = 0;
    for (u64 first = 0; first < count; first += THREADS) {
        u64 i = first + t, size = i < count ? sizes[i] : 0, all;
        u64 total = size ? size + extra : 0, before = sum_before((total + PACKED - 1) / PACKED * PACKED, sums, all);
        if (i < count) starts[i] = carry + before, totals[i] = total;
        carry += all;
    }
}

// blockIdx.x: the stream; the blocks of threads of its row share its pieces.
//   slots   address of each stream
extern "C" __global__ void
compact(const u64* slots, const u64* sizes, const u64* starts, u64 head, u8* target, u64 capacity, u32 count)
{
    if (blockIdx.x >= count) return;
    u64 size = sizes[blockIdx.x], at = starts[blockIdx.x] + head;
    if (at > capacity || size > capacity - at) return;
    copy_row(target + at, global<const u8>(slots[blockIdx.x]), size);
}

// A thread writes the header and trailer of one stream: the first `head_bytes` of its word in `heads`, and the first
// `tail_bytes` of its word in `tails`, in the order of `selector` (0x3210 little-endian, 0x0123 big-endian).
extern "C" __global__ void
ends(const u64* sizes, const u64* starts, const u32* heads, u32 head_bytes, const u32* tails, u32 tail_bytes,
     u32 selector, u8* target, u64 capacity, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u64 at = starts[i], behind = at + head_bytes + sizes[i];
    if (head_bytes > 4 || tail_bytes > 4 || behind + tail_bytes > capacity) return;
    for (u32 b = 0; b < head_bytes; ++b) target[at + b] = (u8)(heads[i] >> (8 * b));
    u32 tail = tail_bytes ? __byte_perm(tails[i], 0, selector) : 0;
    for (u32 b = 0; b < tail_bytes; ++b) target[behind + b] = (u8)(tail >> (8 * b));
}

// A thread writes the same `bytes` bytes of `header` before one stream, at its start; none for one that failed.
extern "C" __global__ void
prefix(const u64* sizes, const u64* starts, const u8* header, u32 bytes, u8* target, u64 capacity, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count || !sizes[i]) return;
    u64 at = starts[i];
    if (at > capacity || bytes > capacity - at) return;
    for (u32 b = 0; b < bytes; ++b) target[at + b] = header[b];
}

// A thread makes one row of a table, as of kernels that take ranges of bytes: the address of a stream, and its bytes.
//   table   rows of `count`
extern "C" __global__ void ranges(const u8* data, const u64* starts, const u64* sizes, u64* table, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) table[i] = (u64)(data + starts[i]), table[(u64)count + i] = sizes[i];
}
