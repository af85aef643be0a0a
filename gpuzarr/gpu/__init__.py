"""The GPU side of codecs: parse frames on the host, build tables of addresses, launch kernels and nvCOMP.

One file for each operation, as in kernels/. Nothing here waits for the device: errors that only the device detects are
registered by `device.check`. Chunks whose headers are damaged or unusual are decoded by the codec on the host
(`fallback.py`); so both devices give the same values and the same errors.
"""
