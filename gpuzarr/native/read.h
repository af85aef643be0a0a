#pragma once
// Reading of open files, and what it takes.
#include "native.h"

enum { READ, DECODE, PLACE, BYTES, CALLS };  // seconds that are spent, and bytes and system calls that read

double seconds(void);
int read_all(int file, unsigned char *into, i64 size, i64 offset, double *spent);
