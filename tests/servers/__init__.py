"""Real servers at ports of the loopback, each started when a test first asks for it: nginx, moto's S3, Azurite.

`fixtures.py` has them as fixtures; `faults.py` is a proxy that stands before one of them and breaks what it says.
"""
