"""Run the server by hand, with the arguments of its program."""

import subprocess
import sys

from benchmarks.latency_server import program

try:
    sys.exit(subprocess.run([program(), *sys.argv[1:]]).returncode)
except KeyboardInterrupt:
    sys.exit(130)
