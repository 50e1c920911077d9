"""What the tests of actions share: a folder in memory, since what is on trial survives a kill of the process, never a loss of power."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of one's own, in memory where the system has some: hundreds of stores are synced there without a disk."""
    if not _MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="lpmops-test-", dir=_MEMORY) as found:
        yield Path(found)
