"""What the codecs do on a GPU: look at frames on the host, build tables of addresses, launch.

One file an operation, as in kernels/. Nothing here waits for the device: damage that only the device can see is
remembered by `device.check`. What a frame's header shows to be damaged or unusual goes to the codec's host
lines (`fallback.py`), which decide what it is; so both devices give the same values and the same errors.
"""
