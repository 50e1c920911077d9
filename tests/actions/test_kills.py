"""kill -9 at every boundary of every action: before and after each commit of the journal, and after each write to the cloud."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.actions import kills
from tests.actions.cases import CASES
from tests.actions.operator import operator

PAIRS = int(os.environ.get("LPMOPS_TEST_KILL_PAIRS", "2"))


@pytest.mark.parametrize("name", CASES)
def test_an_operation_killed_at_any_moment_is_finished_and_nothing_is_done_twice(name: str, folder: Path) -> None:
    last = kills.boundaries(CASES[name], folder / "whole")
    assert last > 15
    for at in kills.spread(range(1, last + 1)):
        place = folder / str(at)
        kills.prepare(CASES[name], place)
        assert kills.killed(kills.run, name, place, at)
        kills.finish(CASES[name], place)
        kills.assert_done_once(CASES[name], place)


@pytest.mark.parametrize("name", CASES)
def test_a_resume_that_is_killed_too_is_resumed_again(name: str, folder: Path) -> None:
    last = kills.boundaries(CASES[name], folder / "whole")
    for trial in range(PAIRS):
        place, seed = folder / str(trial), random.Random(f"{name}{trial}")
        first, second = seed.randint(1, last), seed.randint(1, last)
        kills.prepare(CASES[name], place)
        kills.killed(kills.run, name, place, first)
        with operator(place) as worker:
            resumable = bool(worker.unfinished())
        if resumable:
            kills.killed(kills.resume, name, place, second)
        kills.finish(CASES[name], place)
        kills.assert_done_once(CASES[name], place)
