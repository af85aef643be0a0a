#pragma once
// What all files here share. Each function is a loop over many chunks, boxes or files, which Python calls once, by
// ctypes, without the interpreter's lock. They trust the numbers that they are given: Python has checked them.
#include <stdint.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

typedef int64_t i64;
