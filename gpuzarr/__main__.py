"""Run the command line by `python -m gpuzarr`."""

import signal
import sys


def main() -> int:
    """Import the commands and run one. Until they are imported, Ctrl-C ends the process without a traceback."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gpuzarr.cli import main as run

    signal.signal(signal.SIGINT, before)
    return run()


if __name__ == "__main__":
    sys.exit(main())
