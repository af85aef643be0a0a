// Assemble chunks of HDF5's filters bitshuffle and lz4 from blocks that were compressed into slots. All chunks decode
// to the same size. The formats: gpuzarr/formats/hdf5_bitshuffle.py and lz4h5.py. Their numbers are big-endian.
//
// A chunk is `blocks` blocks of `block` bytes (the last one: `last` bytes), then `rest` bytes that are stored raw.
//   sizes    compressed bytes of each block, chunk after chunk; 0 if its compression failed
//   raw      1: a block that failed or did not become smaller is stored raw; 0: one that failed fails its chunk
//   offset   offset of each block in its chunk, after the block's size
//   total    bytes of each chunk; 0 if it failed
#include "copy.cuh"
#include "scan.cuh"

#define THREADS 256
#define HEADER 12
#define SIZE 4

__device__ __forceinline__ void store_big(u8* p, u32 v) { store4(p, __byte_perm(v, 0, 0x0123)); }

__device__ __forceinline__ u64 stored(u64 size, u64 bytes, u32 raw) { return raw && (!size || size >= bytes) ? bytes : size; }

// One block of threads a chunk: an exclusive sum over the chunk's blocks, THREADS in each round.
extern "C" __global__ void __launch_bounds__(THREADS)
blocks_layout(const u64* sizes, u64 blocks, u64 block, u64 last, u64 rest, u32 raw, u64* offset, u64* total, u32 count)
{
    __shared__ u64 sums[THREADS];
    if (blockIdx.x >= count) return;
    u64 begin = blockIdx.x * blocks, end = HEADER, failed = 0;
    u32 t = threadIdx.x;
    for (u64 first = 0; first < blocks; first += THREADS) {
        u64 b = first + t, all, bad;
        u64 size = b < blocks ? stored(sizes[begin + b], b + 1 < blocks ? block : last, raw) : 0;
        u64 before = sum_before(b < blocks ? size + SIZE : 0, sums, all);
        sum_before(b < blocks && !size, sums, bad);
        if (b < blocks) offset[begin + b] = end + before + SIZE;
        end += all, failed += bad;
    }
    if (t == 0) total[blockIdx.x] = failed ? 0 : end + rest;
}

// blockIdx.x: the block of a chunk, which is copied by all blocks of threads of its row (blockIdx.y). With the first
// block of a chunk the header is written, with the last one the rest.
//   chunks              address of each chunk to encode
//   plain               address of each block, uncompressed
//   slots, slot_bytes   block i was compressed to slots + i * slot_bytes
//   nbytes, declared    bytes of a decoded chunk, and of a block, for the header
//   starts, target, capacity   where chunks are written, as in compact.cu
extern "C" __global__ void
blocks_write(const u64* chunks, const u64* plain, const u8* slots, u64 slot_bytes, const u64* sizes, const u64* offset,
             const u64* total, const u64* starts, u64 blocks, u64 block, u64 last, u64 rest, u32 raw, u64 nbytes,
             u32 declared, u8* target, u64 capacity, u32 count)
{
    u64 i = blockIdx.x;
    if (i >= count * blocks) return;
    u64 chunk = i / blocks, b = i % blocks, at = starts[chunk], made = total[chunk];
    if (!made || at > capacity || made > capacity - at) return;
    u8* to = target + at;
    bool leads = blockIdx.y == 0 && threadIdx.x == 0;
    if (leads && b == 0) store_big(to, (u32)(nbytes >> 32)), store_big(to + 4, (u32)nbytes), store_big(to + 8, declared);
    u64 bytes = b + 1 < blocks ? block : last, size = stored(sizes[i], bytes, raw);
    if (leads) store_big(to + offset[i] - SIZE, (u32)size);
    u64 source = raw && size == bytes ? plain[i] : (u64)(slots + i * slot_bytes);
    copy_row(to + offset[i], global<const u8>(source), size);
    if (b + 1 < blocks || blockIdx.y) return;
    const u8* from = global<const u8>(chunks[chunk]) + nbytes - rest;
    for (u64 k = threadIdx.x; k < rest; k += blockDim.x) to[made - rest + k] = from[k];
}
