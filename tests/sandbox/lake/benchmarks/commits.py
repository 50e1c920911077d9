"""How dear a commit is, early and late: `python -m tests.sandbox.lake.benchmarks.commits [--commits 3000] [--rate 1000]`.

Each commit is a second of the sandbox's clock, and is read back as the stream reads it; seconds pass as fast as they can be worked off. One line a
200 commits: median and 99th percentile of committing, of reading the feed and of writing events, CPU a commit, files, disk and memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.events import EventWriter
from lpmops.sandbox.lake.feeder import Feeder
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.table import ChangeTable

STRIDE = 200


def run(commits: int, rate: float, folder: Path) -> None:
    """Commit, read and write; print as it goes."""
    clock = Clock()
    table = ChangeTable.create(folder / "tdr_streaming", "lpm_dev.gold.tdr_streaming", clock)
    feeder = Feeder(table, CallRecords(1, companies_of(60)), clock, rate, curve=lambda _: 1.0)
    writer = EventWriter()
    spent: dict[str, list[float]] = {"commit": [], "feed": [], "events": []}
    cpu = time.process_time()
    number = 0
    while number < commits:
        clock.advance(feeder.seconds_until_due())
        started = time.perf_counter()
        committed = feeder.step()
        if committed is None:
            continue
        number += 1
        spent["commit"].append(time.perf_counter() - started)
        started = time.perf_counter()
        changes = table.changes(committed.version, committed.version)
        spent["feed"].append(time.perf_counter() - started)
        started = time.perf_counter()
        writer.write(changes, clock.now())
        spent["events"].append(time.perf_counter() - started)
        if number % STRIDE == 0:
            used, cpu = time.process_time() - cpu, time.process_time()
            timings = " ".join(f"{name} {_percentiles(values[-STRIDE:])}" for name, values in spent.items())
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            files = len(table.data_files())
            sys.stdout.write(
                f"{number:6d} {timings} cpu {used / STRIDE * 1000:.0f} ms files {files} disk {size:.0f} MB memory {memory:.0f} MB\n"
            )
            sys.stdout.flush()
    feeder.finish(60)


def _percentiles(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.0f} p99 {ordered[int(len(ordered) * 0.99) - 1] * 1000:.0f} ms"


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1000.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(arguments.commits, arguments.rate, Path(folder))


if __name__ == "__main__":
    main()
