"""What the tests of actions share: a folder in memory, since what is on trial survives a kill of the process, never a loss of power."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmops.actions.desk import Desk
from lpmops.control.hands import Timing
from tests.actions.cloud import Cloud
from tests.actions.line import Line
from tests.actions.operator import QUICK, Proven, Simulated

_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of one's own, in memory where the system has some: hundreds of stores are synced there without a disk."""
    if not _MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="lpmops-test-", dir=_MEMORY) as found:
        yield Path(found)


@pytest.fixture
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits at a desk waits in simulated time, and not long."""
    quick = Timing(QUICK.poll, QUICK.settle, QUICK.visible, QUICK.patience)
    monkeypatch.setattr("lpmops.actions.desk.Timing", lambda **_: quick)
    monkeypatch.setattr("lpmops.actions.desk.Ticking", lambda: Simulated().ticking)


@pytest.fixture
def line(folder: Path, simulated_time: None) -> Iterator[Line]:
    """The command line at a pretend cloud of one's own."""
    cloud = Cloud(folder)
    yield Line(folder, cloud)
    cloud.close()


@pytest.fixture(autouse=True)
def _untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk runs no text over events: the pretend hub has none, and whether a text is a good one is on trial elsewhere."""
    defaults = Desk.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "trial", lambda *_: ([], []))
    monkeypatch.setitem(defaults, "prover", Proven())
