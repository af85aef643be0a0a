// Chunks of HDF5's filters bitshuffle and lz4. The formats and their sources: gpuzarr/formats/hdf5_bitshuffle.py and
// lz4h5.py. The bytes of a chunk are not trusted; the numbers of `Call` are.
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "blocks.h"

enum { HEADER = 12, SIZE = 4 };  // bytes of the header of a chunk, and of a block

static i64 least(i64 a, i64 b) { return a < b ? a : b; }

static i64 word_at(const unsigned char *at)
{
    return (i64)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}

static void put_word(unsigned char *at, i64 number)
{
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(number >> (24 - 8 * i));
}

// Bytes that a block has a multiple of: those of 8 elements.
static i64 unit_of(const Call *of) { return of->element ? 8 * of->element : 1; }

// Allocate memory for a shuffled block, if a compressor follows the shuffle. Returns 0 if that fails.
static int has_scratch(const Call *of, i64 nbytes, unsigned char **scratch)
{
    int is_needed = of->function && of->element && nbytes;
    *scratch = is_needed ? malloc((size_t)nbytes) : NULL;
    return !is_needed || *scratch;
}

// Compress or decompress a block. Returns the bytes that it becomes, at most `capacity`; -1 or 0 for an error.
static i64 compressor(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 size)
{
    if (!of->context) {
        if (size > INT32_MAX) return -1;
        return ((Lz4)of->function)(source, target, (int)size, (int)least(capacity, INT32_MAX));
    }
    size_t made = ((Zstd)of->function)(of->context, target, (size_t)capacity, source, (size_t)size);
    return made > (size_t)capacity ? -1 : (i64)made;  // errors are very large numbers
}

// Decode the block at `at` to `nbytes` bytes. Returns where it ends; NULL if it is damaged.
static const unsigned char *decode_block(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *at,
                                         const unsigned char *end, unsigned char *scratch)
{
    i64 size = nbytes;
    if (of->function) {
        if (end - at < SIZE) return NULL;
        size = word_at(at);
        at += SIZE;
    }
    if (!size || size > end - at) return NULL;
    if (!of->element) {
        if (size == nbytes) memcpy(target, at, (size_t)size);  // it did not become smaller
        else if (compressor(of, target, nbytes, at, size) != nbytes) return NULL;
        return at + size;
    }
    if (of->function && compressor(of, scratch, nbytes, at, size) != nbytes) return NULL;
    unshuffle_bits(of->function ? scratch : at, target, (size_t)(nbytes / unit_of(of)), (size_t)of->element);
    return at + size;
}

// Decode a chunk of `size` bytes to exactly `nbytes` bytes. Returns `nbytes`; -1 if the chunk is damaged.
i64 decode_blocks(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *source, i64 size)
{
    i64 unit = unit_of(of), whole = nbytes / unit * unit, block = of->block;
    const unsigned char *at = source, *end = source + size;
    if (of->function) {
        if (size < HEADER || word_at(at) != nbytes >> 32 || word_at(at + 4) != (nbytes & UINT32_MAX)) return -1;
        block = word_at(at + 8);
        at += HEADER;
    }
    unsigned char *scratch;
    if (block <= 0 || block % unit || !has_scratch(of, least(block, whole), &scratch)) return -1;
    for (i64 done = 0; at && done < whole; done += block)
        at = decode_block(of, target + done, least(block, whole - done), at, end, scratch);
    free(scratch);
    if (!at || end - at != nbytes - whole) return -1;
    memcpy(target + whole, at, (size_t)(nbytes - whole));
    return nbytes;
}

// Encode a block of `nbytes` bytes to `at`. Returns where the result ends; NULL if it does not fit.
static unsigned char *encode_block(const Call *of, unsigned char *at, unsigned char *end, const unsigned char *source,
                                   i64 nbytes, unsigned char *scratch)
{
    i64 header = of->function ? SIZE : 0, size = nbytes;
    if (end - at < header) return NULL;
    if (of->element) {
        unsigned char *planes = of->function ? scratch : at;
        if (!of->function && end - at < nbytes) return NULL;
        shuffle_bits(source, planes, (size_t)(nbytes / unit_of(of)), (size_t)of->element);
        source = planes;
    }
    if (of->function) {
        size = compressor(of, at + SIZE, end - at - SIZE, source, nbytes);
        if (!of->element && (size <= 0 || size >= nbytes)) {
            size = nbytes;
            if (size > end - at - SIZE) return NULL;
            memcpy(at + SIZE, source, (size_t)size);
        }
        if (size <= 0) return NULL;
        put_word(at, size);
    }
    return at + header + size;
}

// Encode a chunk of `nbytes` bytes. Returns the bytes that it becomes, at most `capacity`; -1 if they do not fit.
i64 encode_blocks(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 nbytes)
{
    i64 unit = unit_of(of), whole = nbytes / unit * unit, block = of->element ? of->block : least(of->block, nbytes);
    unsigned char *at = target, *end = target + capacity, *scratch;
    if (of->function) {
        if (capacity < HEADER || block > UINT32_MAX) return -1;
        put_word(at, nbytes >> 32);
        put_word(at + 4, nbytes);
        put_word(at + 8, block);
        at += HEADER;
    }
    if (!has_scratch(of, least(block, whole), &scratch)) return -1;
    for (i64 done = 0; at && done < whole; done += block)
        at = encode_block(of, at, end, source + done, least(block, whole - done), scratch);
    free(scratch);
    if (!at || end - at < nbytes - whole) return -1;
    memcpy(at, source + whole, (size_t)(nbytes - whole));
    return at - target + nbytes - whole;
}
