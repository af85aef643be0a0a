"""Run pytest with the sanitizer of emulated kernels: python -m tests.emulator tests/gpu. See sanitizer.py."""

import sys

from tests.emulator import sanitizer

done = sanitizer.tests(sys.argv[1:])
print(done.stdout)
sys.exit(done.returncode)
