"""Measurements: a file a question in `questions`, what they share in `harness`, sessions on a GPU in `sessions`."""
