"""Run pytest with the sanitizer of emulated kernels: python -m tests.emulator tests/gpu. See sanitizer.py."""

import sys

from tests.emulator import sanitizer

done = sanitizer.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", *sys.argv[1:]])
print(done.stdout)
sys.exit(done.returncode)
