// Assemble Blosc 1 frames from streams that were compressed into slots. All chunks have the same size.
// Source of the format: gpuzarr/formats/blosc_frame.py.
//
// A chunk has `full` blocks of `splits` streams of `part` bytes, and, if `last` is not 0, one block with one stream of
// `last` bytes. Streams are numbered in this order, chunk after chunk.
//   sizes    compressed bytes of each stream; if 0, or not less than its uncompressed bytes, it is stored uncompressed
//   offset   offset of each stream in its frame, after the stream's size
//   total    bytes of each frame; HEADER + the chunk's bytes if the frame is a plain copy
#include "copy.cuh"
#include "scan.cuh"

#define THREADS 256
#define HEADER 16
#define COPIED 2

struct Shape {
    u64 full, splits, part, last;
    __device__ __forceinline__ u64 streams() const { return full * splits + (last ? 1 : 0); }
    __device__ __forceinline__ u64 blocks() const { return full + (last ? 1 : 0); }
    __device__ __forceinline__ u64 nbytes() const { return full * splits * part + last; }
    __device__ __forceinline__ u64 bytes(u64 s) const { return s < full * splits ? part : last; }
    __device__ __forceinline__ u64 stored(u64 s, u64 size) const { return size && size < bytes(s) ? size : bytes(s); }
};

__device__ __forceinline__ Shape shape_of(u64 full, u64 splits, u64 part, u64 last)
{
    Shape shape;
    shape.full = full, shape.splits = splits, shape.part = part, shape.last = last;
    return shape;
}

// One block of threads for each chunk: an exclusive sum over its streams, THREADS of them in each round.
extern "C" __global__ void __launch_bounds__(THREADS)
blosc_layout(const u64* sizes, u64 full, u64 splits, u64 part, u64 last, u32* offset, u64* total, u32 count)
{
    __shared__ u64 sums[THREADS];
    if (blockIdx.x >= count) return;
    Shape shape = shape_of(full, splits, part, last);
    u64 streams = shape.streams(), begin = blockIdx.x * streams, end = HEADER + 4 * shape.blocks();
    u32 t = threadIdx.x;
    for (u64 first = 0; first < streams; first += THREADS) {
        u64 s = first + t, all;
        u64 bytes = s < streams ? 4 + shape.stored(s, sizes[begin + s]) : 0, before = sum_before(bytes, sums, all);
        if (s < streams) offset[begin + s] = (u32)(end + before + 4);
        end += all;
    }
    u64 copy = HEADER + shape.nbytes();
    if (t == 0) total[blockIdx.x] = end < copy ? end : copy;
}

__device__ __forceinline__ void write_header(u8* frame, u32 first_word, u64 nbytes, u32 blocksize, u64 total)
{
    store4(frame, first_word), store4(frame + 4, (u32)nbytes), store4(frame + 8, blocksize), store4(frame + 12, (u32)total);
}

// blockIdx.x: the stream; the blocks of threads of its row share its pieces. The first stream of a chunk also writes
// the header and the offsets of the chunk's blocks.
//   first_word   version, version of the codec, flags, typesize
//   chunks       address of each chunk, for those that are copied
//   plain        address of each stream, uncompressed
//   slots, slot_bytes   stream i was compressed to slots + i * slot_bytes
//   starts, target, capacity   where frames are written, as in compact.cu
extern "C" __global__ void
blosc_write(const u64* chunks, const u64* plain, const u8* slots, u64 slot_bytes, const u64* sizes, const u32* offset,
            const u64* total, const u64* starts, u64 full, u64 splits, u64 part, u64 last, u32 first_word,
            u32 blocksize, u8* target, u64 capacity, u32 count)
{
    Shape shape = shape_of(full, splits, part, last);
    u64 streams = shape.streams(), i = blockIdx.x;
    if (i >= count * streams) return;
    u64 chunk = i / streams, s = i % streams, at = starts[chunk], bytes = total[chunk];
    if (at > capacity || bytes > capacity - at) return;
    u8* frame = target + at;
    bool copied = bytes == HEADER + shape.nbytes();
    bool leads = blockIdx.y == 0 && threadIdx.x == 0;
    if (leads && s == 0) write_header(frame, first_word | (copied ? COPIED << 16 : 0), shape.nbytes(), blocksize, bytes);
    if (copied) {
        u64 begin = s * part;  // the last stream begins where the full ones end
        copy_row(frame + HEADER + begin, global<const u8>(chunks[chunk]) + begin, shape.bytes(s));
        return;
    }
    u64 size = sizes[i], stored = shape.stored(s, size);
    if (leads) store4(frame + offset[i] - 4, (u32)stored);
    if (s == 0 && blockIdx.y == 0)
        for (u64 b = threadIdx.x; b < shape.blocks(); b += blockDim.x)
            store4(frame + HEADER + 4 * b, offset[chunk * streams + b * splits] - 4);
    u64 source = stored == shape.bytes(s) ? plain[i] : (u64)(slots + i * slot_bytes);
    copy_row(frame + offset[i], global<const u8>(source), stored);
}
