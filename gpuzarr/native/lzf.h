#pragma once
// Streams of LZF: see gpuzarr/formats/lzf.py, which does the same in Python, and says where the format comes from.
#include "call.h"

i64 decode_lzf(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *source, i64 size);
i64 encode_lzf(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 nbytes);
