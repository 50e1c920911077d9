"""`python -m tests.benchmarks [NAME ...]`: run all benchmarks, or those named; options at the end are the last one's."""

from __future__ import annotations

import importlib
import sys

# The proof of replays takes hours, so it runs only when it is named.
NAMES = ("commands", "status", "calls", "history", "routing", "app", "sandbox", "reconcile", "replay")


def main() -> None:
    """Run each benchmark and let it print its table."""
    words = sys.argv[1:]
    options = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    names = words[:options] or NAMES
    for name in names:
        print(f"\n== {name}")
        run = importlib.import_module(f"tests.benchmarks.{name.replace('-', '_')}").main
        run(words[options:]) if name == names[-1] and words[options:] else run()


if __name__ == "__main__":
    main()
