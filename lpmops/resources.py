"""Finds the files that travel with lpmops: the texts in `queries/`, the migrations in `state/` and the stream job's own code.

In a checkout they stand beside the package, in a wheel inside it; nobody else needs to know which.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# What a Databricks task names as its python_file, below the folder that the stream job's files are copied to.
STREAM_JOB_ENTRY = "streamjob/run.py"


def _root(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is missing from this installation of lpmops")


@cache
def query(name: str) -> str:
    """The text of `queries/NAME`, such as `tsql/rows_by_company.sql`. Raises FileNotFoundError."""
    return (_root("queries") / name).read_text(encoding="utf-8")


def migrations() -> list[Path]:
    """The numbered schema files of the local store, in order."""
    return sorted(_root("state").glob("[0-9][0-9][0-9][0-9]_*.sql"))


def stream_job_files() -> dict[str, Path]:
    """Exactly the files that a deployment of the stream job ships: where each goes, below one folder, and where it is here."""
    return {f"streamjob/{path.name}": path for path in sorted((_PACKAGE / "streamjob").glob("*.py"))}
