"""`python -m lpmops.sandbox FOLDER` runs the sandbox of a folder in the foreground."""

from __future__ import annotations

import sys

from lpmops.sandbox.process import main

if __name__ == "__main__":
    sys.exit(main())
