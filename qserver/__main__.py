"""`python -m qserver` is `qserver`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
