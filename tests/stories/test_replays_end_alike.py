"""Whatever is done to a replay, the landing tables hold in the end what one clean run lands, as multisets; the long form tries every script."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.replays.ground import Size, ground
from tests.replays.scripts import SCRIPTS, Trial, clean_run

# Each group in its order: what can't be undone comes last.
TRIED = [tuple(SCRIPTS)] if os.environ.get("LPMOPS_TEST_REPLAYS") == "all" else [("killed",)]


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    """One sandbox for all scripts, whose stream has landed everything once."""
    with ground(Size(2_000, 200, rate=20.0)) as made:
        found = Trial(made, rate=3_000, runs=2)
        clean_run(found)
        yield found


@pytest.mark.parametrize("scripts", TRIED, ids=",".join)
def test_the_landing_tables_equal_one_clean_run(scripts: tuple[str, ...], trial: Trial) -> None:
    for script in scripts:
        trial.begin()
        assert not trial.difference(SCRIPTS[script](trial) or range(0)), script
