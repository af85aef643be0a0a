#pragma once
// What all files here share. Each function is a loop over many chunks, boxes or files, which Python calls once, by
// ctypes, without the interpreter's lock. They trust the numbers that they are given: Python has checked them.
#include <stdint.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

typedef int64_t i64;

enum { MAX_AXES = 64 };

// Of loops that are compiled for several kinds of cores; the one at hand is chosen when the library is loaded.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOR_CORES __attribute__((target_clones("avx2", "default")))
#else
#define FOR_CORES
#endif
