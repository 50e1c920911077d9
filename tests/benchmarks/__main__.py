"""`python -m tests.benchmarks [NAME ...]`: run all benchmarks, or those named."""

from __future__ import annotations

import importlib
import sys

NAMES = ("commands", "status", "calls", "history", "routing", "app", "sandbox")


def main() -> None:
    """Run each benchmark and let it print its table."""
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}")
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
