"""Run the command line as ``python -m finops``."""

import sys

from finops.cli import main

if __name__ == "__main__":
    sys.exit(main())
