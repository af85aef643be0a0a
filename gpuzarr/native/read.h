#pragma once
// Reading of open files, and what it takes.
#include "native.h"

enum { READ, DECODE, PLACE };  // what seconds are spent on

double seconds(void);
int read_all(int file, unsigned char *into, i64 size, i64 offset);
