"""What comes to an environment while it lives: customers whose calls begin to appear in the source, and empty databases that somebody has made.

A new customer has no route and a new database no table, as in life: bringing them together is what an operator does. Both are there again after a
restart, the customers by their number in `companies`, the databases by the server's own list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lpmops.sandbox.files import write_whole
from lpmops.sandbox.lake.records import Company

CompanySource = Callable[[int], Sequence[Company]]


class Newcomers:
    """The customers that came since the environment was deployed. `source` gives the first so many of all companies there can be."""

    def __init__(self, folder: Path, source: CompanySource, deployed: int) -> None:
        self._file, self._source, self._deployed = folder / "companies", source, deployed

    def come(self) -> Sequence[Company]:
        """Those that have come so far. Raises ValueError, OSError where that can't be read."""
        return self._source(self._count())[self._deployed :]

    def more(self, count: int) -> Sequence[Company]:
        """So many more, kept for the next start."""
        before = self._count()
        write_whole(self._file, str(before + count))
        return self._source(before + count)[before:]

    def _count(self) -> int:
        return int(self._file.read_text(encoding="utf-8")) if self._file.exists() else self._deployed
