#include "blocks.h"
#include "lzf.h"

typedef int (*BloscDecode)(const void *source, void *target, size_t capacity, int threads);
typedef int (*BloscEncode)(int level, int shuffle, size_t element, size_t nbytes, const void *source, void *target,
                           size_t capacity, const char *name, size_t block, int threads);

enum { LZ4_HEADER = 4 };

// An LZ4 block behind its decoded size (int32, little-endian).
static i64 decode_lz4(const Call *of, void *target, i64 capacity, const unsigned char *source, i64 size)
{
    if (size <= LZ4_HEADER || size - LZ4_HEADER > INT32_MAX) return -1;
    uint32_t nbytes = source[0] | (uint32_t)source[1] << 8 | (uint32_t)source[2] << 16 | (uint32_t)source[3] << 24;
    if (nbytes > INT32_MAX || (i64)nbytes != capacity) return -1;
    return ((Lz4)of->function)(source + LZ4_HEADER, target, (int)(size - LZ4_HEADER), (int)capacity);
}

// The bytes that a chunk becomes; an error if they are more than its room, or negative.
i64 call(const Call *of, i64 target, i64 capacity, i64 source, i64 size)
{
    void *to = (void *)(intptr_t)target;
    const void *from = (const void *)(intptr_t)source;
    switch (of->kind) {
    case ZSTD:
        return (i64)((Zstd)of->function)(of->context, to, (size_t)capacity, from, (size_t)size);
    case LZ4_DECODE:
        return decode_lz4(of, to, capacity, from, size);
    case BLOSC_DECODE:
        return ((BloscDecode)of->function)(from, to, (size_t)capacity, 1);
    case BLOCKS_DECODE:
        return decode_blocks(of, to, capacity, from, size);
    case BLOCKS_ENCODE:
        return encode_blocks(of, to, capacity, from, size);
    case LZF_DECODE:
        return decode_lzf(of, to, capacity, from, size);
    case LZF_ENCODE:
        return encode_lzf(of, to, capacity, from, size);
    default:
        return ((BloscEncode)of->function)((int)of->level, (int)of->shuffle,
                                           size && size % of->element == 0 ? (size_t)of->element : 1, (size_t)size, from,
                                           to, (size_t)capacity, of->name, (size_t)of->block, 1);
    }
}

int succeeded(const Call *of, i64 made, i64 capacity)
{
    return made > 0 && (of->exact ? made == capacity : made <= capacity);
}

// Decode or encode n chunks, each from `size` bytes at `source` to at most `capacity` bytes at `target`; made[i] are the
// bytes that it became. Returns how many went well before the first that did not.
EXPORT i64 gpuzarr_call(const Call *of, i64 n, const i64 *target, const i64 *capacity, const i64 *source, const i64 *size,
                        i64 *made)
{
    for (i64 i = 0; i < n; i++) {
        made[i] = call(of, target[i], capacity[i], source[i], size[i]);
        if (!succeeded(of, made[i], capacity[i])) return i;
    }
    return n;
}

// The same for one chunk: the bytes that it became, or -1.
EXPORT i64 gpuzarr_call_one(const Call *of, i64 target, i64 capacity, i64 source, i64 size)
{
    i64 made = call(of, target, capacity, source, size);
    return succeeded(of, made, capacity) ? made : -1;
}

// The checksums of n runs of bytes by a function of an installed library.
EXPORT void gpuzarr_checksums(uint32_t (*checksum)(const void *data, size_t nbytes), i64 n, const i64 *address,
                              const i64 *nbytes, uint32_t *found)
{
    for (i64 i = 0; i < n; i++) found[i] = checksum((const void *)(intptr_t)address[i], (size_t)nbytes[i]);
}
