// Frames of Blosc 1: see gpuzarr/formats/blosc_frame.py, which says the same in Python, and where it comes from.
#include "native.h"

// What a decoder must be given for a part of a frame: the frame's part from `start` on, which decodes to `nbytes` bytes,
// `skipped` bytes after the beginning of the chunk.
typedef struct {
    i64 skipped, start, nbytes;
} Cut;

int blosc_is_common(const unsigned char *frame, i64 size, i64 nbytes);
Cut blosc_cut(unsigned char *frame, i64 first, i64 last);
