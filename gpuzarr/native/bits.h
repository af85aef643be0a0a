#pragma once
// Shuffles of the bits of a block: `groups` times 8 elements of `size` bytes. See bits.c.
#include "native.h"

void shuffle_bits(const unsigned char *elements, unsigned char *planes, size_t groups, size_t size);
void unshuffle_bits(const unsigned char *planes, unsigned char *elements, size_t groups, size_t size);
