"""Which samples are which batch of which rank: a pure function of how many there are in each block, seed and epoch."""
