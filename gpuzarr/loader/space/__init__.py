"""Which samples there are, and which elements of each array a sample wants. Pure arithmetic: nothing is read."""
