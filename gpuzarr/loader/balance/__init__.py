"""Samples whose centres are drawn by labels or weights."""
