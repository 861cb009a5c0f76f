"""Run the command line as ``python -m finops``."""

import sys

if __name__ == "__main__":
    try:
        from finops.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
