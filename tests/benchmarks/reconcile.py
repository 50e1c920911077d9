"""What a reconciliation costs: a million rows over 25 databases, and a tenth of them in the same run. Promise: under 60 s, flat memory.

Time and peak memory are those of the whole `lpmops reconcile` process. `--changes N` takes another size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.replays.ground import NAME, Ground, Size, Stand, ground
from tests.stories.ledger import Ledger
from tests.stories.machine import Machine

CHANGES, COMMITS, COMPANIES, DATABASES = 1_000_000, 400, 100, 25
# Each so-manieth row of one company is deleted, so that its keys are fetched from both sides.
_EACH = 50


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds, and the most megabytes that it held."""

    seconds: float
    megabytes: float
    code: int


def main(options: Sequence[str] = ()) -> None:
    """Print time and memory of a first look, of a look with everything proven, and of one at a loss."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks reconcile")
    parser.add_argument("--changes", type=int, default=CHANGES)
    given = parser.parse_args(options)
    began = time.monotonic()
    size = Size(given.changes, max(1, given.changes // COMMITS), COMPANIES, DATABASES, rate=1.0)
    with ground(size, Stand.LANDED) as made:
        first, last = made.versions
        tenth = f"{first}:{first + (last - first + 1) // 10 - 1}"
        print(f"{made.changes:,} rows in {DATABASES} databases laid in {time.monotonic() - began:.0f} s")
        small = _tell("a tenth, first look", made, "small", 0, "--versions", tenth)
        large = _tell("all, first look", made, "large", 0, "--versions", f"{first}:{last}")
        _tell("all, proven before", made, "large", 0, "--versions", f"{first}:{last}")
        lost = _lose(made)
        loss = _tell(f"all again, {lost:,} rows lost", made, "large", 11, "--versions", f"{first}:{last}", "--again")
        _tell("the rest proven, the loss open", made, "large", 11, "--versions", f"{first}:{last}")
    print(f"memory of all over a tenth   {large.megabytes / small.megabytes:5.2f} x   (promise: flat)")
    print(f"slowest look at all          {max(large.seconds, loss.seconds):5.1f} s   (promise: 60)")


def _tell(what: str, made: Ground, store: str, code: int, *words: str) -> Cost:
    cost = _cost(made.machine.using(LPMOPS_STATE_DIR=str(made.folder.parent / store)), *words)
    assert cost.code == code, f"{what}: exit {cost.code}"
    print(f"{what:34} {cost.seconds:6.1f} s   {cost.megabytes:6.0f} MB", flush=True)
    return cost


# The system counts what the parent held to a child's peak, so a parent that holds nothing stands between.
_MEASURED = """
import os, subprocess, sys
_, status, used = os.wait4(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, 0)
print(status, used.ru_maxrss)
"""


def _cost(machine: Machine, *words: str) -> Cost:
    """A reconciliation as a process of its own, measured by the system when it ends."""
    command = machine.command("reconcile", "-e", NAME, *words, "-o", "json")
    began = time.monotonic()
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command], env=dict(machine.environ), capture_output=True, text=True, check=True
    )  # fmt: skip
    status, kilobytes = map(int, measured.stdout.split())
    return Cost(time.monotonic() - began, kilobytes / 1024, os.waitstatus_to_exitcode(status))


def _lose(made: Ground) -> int:
    """Delete some rows of the largest company, all over the versions; how many."""
    before, company = made.count(), made.companies[0]
    for database in made.environment.sql.databases:
        text = f"DELETE FROM lpm.tdr WHERE company_id = '{company}' AND hub_sequence % {_EACH} = 0"
        Ledger(made.environment).rows(database, text)
    return before - made.count()
