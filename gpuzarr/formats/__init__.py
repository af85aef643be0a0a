"""Containers of compressed streams, parsed and checked before anything is decoded: what host and GPU share."""
