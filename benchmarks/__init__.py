"""Measurements, one question a file. `python -m benchmarks.NAME --help` says what each can be told."""
