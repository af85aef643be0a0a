"""The algorithms of nvCOMP that codecs use, with their limits, scratch and rates; and those of kernels of ours.

Limits and scratch are those of nvCOMP 6.0 (its headers, and the answers of its queries). Rates come from published
numbers for A100 and H100 GPUs and from one core of an AMD EPYC: guesses, until `make calibrate` measures a machine.
"""

from __future__ import annotations

from gpuzarr.devices.algorithm import Algorithm, Rate, Scratch

LZ4 = Algorithm("lz4", "LZ4", 2**32 - 1, Rate(90e6, 150e9, 2.6e9))
SNAPPY = Algorithm("snappy", "Snappy", 2**31 - 1, Rate(90e6, 150e9, 1.2e9))
DEFLATE = Algorithm("deflate", "Deflate", 2**32 - 1, Rate(25e6, 40e9, 0.25e9))
GZIP = Algorithm("gzip", "Gzip", 2**32 - 1, Rate(25e6, 40e9, 0.25e9))
ZSTD = Algorithm(
    *("zstd", "Zstd", 2**31 - 1, Rate(30e6, 60e9, 0.9e9)),
    decode_scratch=Scratch(3.06, 7 << 10),
    encode_scratch=Scratch(9, 64 << 10),  # assumed: its query needs a GPU
)
GDEFLATE = Algorithm("gdeflate", "Gdeflate", 1 << 16, Rate(300e6, 100e9, 0.5e9))
ALGORITHMS = {algorithm.name: algorithm for algorithm in (LZ4, SNAPPY, DEFLATE, GZIP, ZSTD, GDEFLATE)}

# By kernels/blosclz.cu. A guess: a token of most shuffled data makes 16 bytes (14 to 80 were counted). A warp takes
# about 150 cycles of 1.7 GHz for it, and starts about 60 instructions, of which an H200 starts 528 a cycle: 180 MB/s
# and 240 GB/s, and half of that to be careful. A core: c-blosc by numcodecs on one of an AMD EPYC, measured.
BLOSCLZ = Algorithm("blosclz", None, 2**31 - 1, Rate(90e6, 120e9, 1.2e9))
