"""How long commands take to start, as whole processes, beside a bare Typer program's help in the same run.

Promise: `lpmops --help` and `lpmops status` from the store take no more than twice the bare program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 15
_BARE = """
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def one() -> None: "One."
@app.command()
def two() -> None: "Two."
app()
"""


def main() -> None:
    """Print the medians and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(_BARE)
        environ = prepared_environment(Path(folder))
        lpmops = [sys.executable, "-m", "lpmops"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "bare Typer --help": [sys.executable, str(bare), "--help"],
            "lpmops --help": [*lpmops, "--help"],
            "lpmops status --cached": [*lpmops, "status", "--all", "--cached", "-o", "json"],
        }
        times = dict(zip(commands, _alternate(list(commands.values()), environ), strict=True))
        reference = times["bare Typer --help"]
        for name, seconds in times.items():
            print(f"{name:26} {seconds * 1000:7.0f} ms   {seconds / reference:5.2f} x bare Typer")


def prepared_environment(folder: Path) -> dict[str, str]:
    """An environment with a configuration and a store that holds one snapshot of each environment."""
    from tests.benchmarks import samples

    config, state = folder / "lpmops.toml", folder / "state"
    samples.write_config(config)
    samples.write_store(state, config)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**environ, "LPMOPS_CONFIG": str(config), "LPMOPS_STATE_DIR": str(state)}


def _alternate(commands: Sequence[Sequence[str]], environ: dict[str, str]) -> list[float]:
    """The median seconds of each command, run in turn so that a drift of the machine meets all alike; the first round is not counted."""
    seconds: list[list[float]] = [[] for _ in commands]
    for round_number in range(ROUNDS + 1):
        for number, command in enumerate(commands):
            started = time.perf_counter()
            subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
            if round_number:
                seconds[number].append(time.perf_counter() - started)
    return [statistics.median(values) for values in seconds]
