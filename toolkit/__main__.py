"""Runs the command line as ``python -m toolkit``."""

import sys

from toolkit.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
