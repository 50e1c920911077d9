"""That a replay ends as one clean run does, whatever is done to it: script by script, the landing tables held against those of one clean run.

`python -m tests.benchmarks replay-proof [--changes N] [--share 0.1] [--scripts NAME,NAME]` ends non-zero where one differs. Each script loses the
newest versions, a tenth unless told otherwise, sends them again, and is judged by all rows; before them everything is sent again once. A million
changes take about an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.replays.ground import Size, ground
from tests.replays.scripts import SCRIPTS, Trial, clean_run

CHANGES, COMMITS, RATE = 1_000_000, 60, 20_000


def main(options: Sequence[str] = ()) -> None:
    """Print a line for each script: rows, seconds, equal or how many rows differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks replay-proof")
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--scripts", default=",".join(SCRIPTS), help="which of: " + ", ".join(SCRIPTS))
    parser.add_argument("--share", type=float, default=0.1, help="how much of the changes each script sends, 1 for all")
    parser.add_argument("--companies", type=int, default=100)
    parser.add_argument("--databases", type=int, default=25)
    given = parser.parse_args(options)
    size = Size(given.changes, max(1, given.changes // COMMITS), given.companies, given.databases, rate=20.0)
    began = time.monotonic()
    with ground(size) as made:
        trial = Trial(made, RATE)
        _tell("changes laid", made.changes, began, f"in {made.versions[1] - made.versions[0] + 1} commits")
        began = time.monotonic()
        clean_run(trial)
        _tell("one clean run", trial.clean.total(), began, "equal to the source")
        failed = [] if given.share == 1 or _ends_alike("once", trial) else ["once, everything"]
        trial.share = given.share
        failed += [name for name in given.scripts.split(",") if not _ends_alike(name, trial)]
    if failed:
        sys.exit(f"not as one clean run: {', '.join(failed)}")


def _ends_alike(name: str, trial: Trial) -> bool:
    trial.begin()
    began = time.monotonic()
    try:
        difference = trial.difference(SCRIPTS[name](trial) or range(0))
    except Exception as error:  # noqa: BLE001 - whatever ends a script is told in its line, and the others are tried
        _tell(name, trial.ground.count(), began, f"FAILED: {error}")
        trial.heal()
        return False
    said = "equal" if not difference else f"NOT EQUAL: {difference.total():,} rows differ"
    _tell(name, trial.ground.count(), began, said)
    return not difference


def _tell(what: str, rows: int, began: float, said: str) -> None:
    print(f"{what:20} {rows:11,} rows  {time.monotonic() - began:7.1f} s   {said}", flush=True)
