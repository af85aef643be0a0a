#pragma once
// LZF streams. The same in Python, and the format and its source: gpuzarr/formats/lzf.py.
#include "call.h"

i64 decode_lzf(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *source, i64 size);
i64 encode_lzf(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 nbytes);
