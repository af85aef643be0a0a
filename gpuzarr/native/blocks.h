#pragma once
// Chunks of HDF5's filters bitshuffle and lz4: see blocks.c. Of `Call`, `function` is the compressor of blocks: of
// libzstd if there is a `context`, else of liblz4; NULL for none. `element`: bytes of an element; 0 if bits are not
// shuffled.
#include "call.h"

i64 decode_blocks(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *source, i64 size);
i64 encode_blocks(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 nbytes);
