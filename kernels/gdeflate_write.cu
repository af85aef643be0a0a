// Assemble chunks of zarrs' gdeflate from pages that were compressed into slots. All chunks decode to the same size.
// Source of the format: gpuzarr/formats/gdeflate.py.
//
// Pages are numbered chunk after chunk, `pages` a chunk.
//   sizes    compressed bytes of each page; 0 if its compression failed, which fails the chunk
//   offset   offset of each page in its chunk
//   total    bytes of each chunk; 0 if it failed
#include "copy.cuh"
#include "scan.cuh"

#define THREADS 256
#define WORD 8
#define HEADER 16

// One block of threads a chunk: an exclusive sum over its pages, THREADS in each round.
extern "C" __global__ void __launch_bounds__(THREADS)
gdeflate_layout(const u64* sizes, u64 pages, u64* offset, u64* total, u32 count)
{
    __shared__ u64 sums[THREADS];
    __shared__ u32 failed;
    if (blockIdx.x >= count) return;
    u64 begin = blockIdx.x * pages, end = HEADER + WORD * pages;
    u32 t = threadIdx.x;
    if (t == 0) failed = 0;
    for (u64 first = 0; first < pages; first += THREADS) {
        u64 p = first + t, size = p < pages ? sizes[begin + p] : 0, all, before = sum_before(size, sums, all);
        if (p < pages && !size) failed = 1;
        if (p < pages) offset[begin + p] = end + before;
        end += all;
    }
    __syncthreads();
    if (t == 0) total[blockIdx.x] = failed ? 0 : end;
}

__device__ __forceinline__ void store_word(u8* p, u64 word) { store4(p, (u32)word), store4(p + 4, (u32)(word >> 32)); }

// blockIdx.x: the page, which is copied by all blocks of threads of its row (blockIdx.y). With each page its size is
// written to the header, and with the first page of a chunk the other numbers.
//   slots, slot_bytes          page i was compressed to slots + i * slot_bytes
//   starts, target, capacity   where chunks are written, as in compact.cu
extern "C" __global__ void
gdeflate_write(const u8* slots, u64 slot_bytes, const u64* sizes, const u64* offset, const u64* total,
               const u64* starts, u64 pages, u64 nbytes, u8* target, u64 capacity, u32 count)
{
    u64 i = blockIdx.x;
    if (i >= count * pages) return;
    u64 chunk = i / pages, p = i % pages, at = starts[chunk], bytes = total[chunk], size = sizes[i];
    if (!bytes || at > capacity || bytes > capacity - at) return;
    if (size > slot_bytes || offset[i] > bytes || size > bytes - offset[i]) return;
    u8* made = target + at;
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        if (p == 0) store_word(made, nbytes), store_word(made + WORD, pages);
        store_word(made + HEADER + WORD * p, size);
    }
    copy_row(made + offset[i], slots + i * slot_bytes, size);
}
