"""Run the command line by `python -m gpuzarr`."""

import sys

from gpuzarr.cli import main

if __name__ == "__main__":
    sys.exit(main())
