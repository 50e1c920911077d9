"""kill -9 at every boundary of every action: before and after each commit of the journal, and before and after each write to the cloud."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import pytest

from tests.actions import kills
from tests.actions.operator import CASES, operator

PAIRS = int(os.environ.get("LPMOPS_TEST_KILL_PAIRS", "3"))


@pytest.mark.parametrize("name", CASES)
def test_an_operation_killed_at_any_moment_is_finished_and_nothing_is_done_twice(name: str, folder: Path) -> None:
    boundaries = 0
    for at in itertools.count(1, kills.stride(CASES[name])):
        place = folder / str(at)
        with operator(place) as worker:
            CASES[name].before(worker.cloud)
        if not kills.killed(kills.run, name, place, at):
            break
        boundaries += 1
        kills.finish(CASES[name], place)
        kills.assert_done_once(CASES[name], place)
    assert boundaries > 15


@pytest.mark.parametrize("name", CASES)
def test_a_resume_that_is_killed_too_is_resumed_again(name: str, folder: Path) -> None:
    for trial in range(PAIRS):
        place, seed = folder / str(trial), random.Random(f"{name}{trial}")
        first, second = seed.randint(8, 40), seed.randint(1, 30)
        with operator(place) as worker:
            CASES[name].before(worker.cloud)
        kills.killed(kills.run, name, place, first)
        with operator(place) as worker:
            resumable = bool(worker.unfinished())
        if resumable:
            kills.killed(kills.resume, name, place, second)
        kills.finish(CASES[name], place)
        kills.assert_done_once(CASES[name], place)
