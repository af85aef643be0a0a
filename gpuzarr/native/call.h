#pragma once
// A function that decodes or encodes one chunk, by addresses: of an installed library, where Python found it, or of
// this library.
#include "native.h"

enum { ZSTD, BLOSC_DECODE, BLOSC_ENCODE, LZ4_DECODE, BLOCKS_DECODE, BLOCKS_ENCODE, LZF_DECODE, LZF_ENCODE };

typedef size_t (*Zstd)(void *context, void *target, size_t capacity, const void *source, size_t size);
typedef int (*Lz4)(const void *source, void *target, int size, int capacity);

typedef struct {
    i64 kind;
    void *function, *context;                  // context: of libzstd, which belongs to the calling thread
    i64 exact;                                 // a chunk must become exactly as many bytes as there is room for
    i64 level, shuffle, element, block;        // of c-blosc when it encodes; see also blocks.h and lzf.c
    const char *name;                          // of c-blosc's inner codec
} Call;

i64 call(const Call *function, i64 target, i64 capacity, i64 source, i64 size);
int succeeded(const Call *function, i64 made, i64 capacity);
