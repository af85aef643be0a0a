#include <string.h>
#include "blosc.h"

enum { HEADER = 16, MIN_BLOCK_BYTES = 32, MAX_SMALL_BYTES = 255, COPIED = 2, RESERVED = 8, SNAPPY = 2, ZSTD_CODEC = 4 };

static i64 int32_at(const unsigned char *at)
{
    return (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

static void put_int32(unsigned char *at, i64 number)
{
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(number >> 8 * i);
}

// Whether the header is the common case, which c-blosc may decode unchecked: as `_is_common` of codecs/blosc.py.
int blosc_is_common(const unsigned char *frame, i64 size, i64 nbytes)
{
    if (size < HEADER) return 0;
    int codec = frame[2] >> 5, element = frame[3];
    i64 block = int32_at(frame + 8);
    if (frame[0] != 2 || frame[1] != 1 || frame[2] & RESERVED || codec == SNAPPY || codec > ZSTD_CODEC || !element) return 0;
    if (block < MIN_BLOCK_BYTES && nbytes > MAX_SMALL_BYTES) return 0;
    return int32_at(frame + 4) == nbytes && int32_at(frame + 12) == size && 0 < block && block <= nbytes && !(block % element);
}

// Make of a frame with a common header, in its own memory, one of only the blocks that hold its decoded bytes `first` to
// before `last`: as `cut_out` of formats/blosc_frame.py.
Cut blosc_cut(unsigned char *frame, i64 first, i64 last)
{
    i64 nbytes = int32_at(frame + 4), block = int32_at(frame + 8), size = int32_at(frame + 12);
    i64 blocks = (nbytes + block - 1) / block, begin = first / block, end = (last + block - 1) / block;
    if (nbytes % block && begin > blocks - 2) begin = blocks > 2 ? blocks - 2 : 0;  // a frame has at least one full block
    if (frame[2] & COPIED || end - begin == blocks || size < HEADER + 4 * blocks) return (Cut){0, 0, nbytes};
    i64 skipped = begin * block, start = 4 * begin;
    i64 part = (nbytes < end * block ? nbytes : end * block) - skipped;
    unsigned char header[HEADER];
    memcpy(header, frame, HEADER);
    put_int32(header + 4, part);
    put_int32(header + 12, size - start);
    memcpy(frame + start, header, HEADER);
    for (unsigned char *at = frame + start + HEADER; at < frame + 4 * end + HEADER; at += 4) put_int32(at, int32_at(at) - start);
    return (Cut){skipped, start, part};
}

// How many of n frames have a common header, before the first that has not.
EXPORT i64 gpuzarr_count_common_blosc(i64 n, const i64 *address, const i64 *size, i64 nbytes)
{
    for (i64 i = 0; i < n; i++)
        if (!blosc_is_common((const unsigned char *)(intptr_t)address[i], size[i], nbytes)) return i;
    return n;
}
