"""Parsers of containers of compressed streams, for the host and for GPUs."""
