"""What is left when lpmops itself fails: a report in a file, and one sentence that names it. The report holds no values, only where it happened."""

from __future__ import annotations

import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from lpmops import __version__, paths
from lpmops.cli import output
from lpmops.errors import ExitCode


def report(error: BaseException) -> int:
    """Write the report, tell the person, and give the exit code 70."""
    lines = [f"lpmops {__version__}, {datetime.now(UTC).isoformat(timespec='seconds')}", type(error).__name__]
    # The text of an unknown error may quote a record or a secret, so the report keeps only its type and the places.
    lines += [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    path = _write("\n".join(lines) + "\n")
    where = f"The report is in {path}." if path else f"{type(error).__name__} at {lines[-1]}."
    output.narrate(f"error: lpmops failed: {type(error).__name__}.")
    output.narrate(f"  {where} Please pass it on to whoever looks after lpmops; then try the command again.")
    return int(ExitCode.INTERNAL)


def _write(text: str) -> Path | None:
    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}.txt"
    for folder in (_state_directory, lambda: Path(tempfile.gettempdir())):
        try:
            path = folder() / name
            path.write_text(text, encoding="utf-8")
            return path
        except OSError:
            continue
    return None


def _state_directory() -> Path:
    return paths.state_directory()
