"""This machine, as lpmops needs it: Python, the driver for SQL, the terminal, and the local store. Reads only; the store is never made by it."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lpmops import __version__
from lpmops.control.findings import Finding, Level
from lpmops.errors import LpmopsError
from lpmops.store.connection import Store, journal_mode, latest_version

_OLDEST_PYTHON = (3, 11)


def look(
    store: Path, driver: Callable[[], tuple[str, str]], environ: Mapping[str, str], *, terminal: bool
) -> list[Finding]:
    """What there is to say of this machine. `driver` gives the SQL driver's name and why it is not the better one."""
    return [*_python(), _driver(driver), _colours(environ, terminal=terminal), *_store(store)]


def _finding(
    identifier: str, level: Level, summary: str, evidence: tuple[str, ...] = (), todo: tuple[str, ...] = ()
) -> Finding:
    return Finding(f"machine.{identifier}", "machine", level, summary, evidence, todo)


def _python() -> Iterator[Finding]:
    evidence = (
        f"lpmops {__version__}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        platform.platform(),
    )
    if sys.version_info[:2] < _OLDEST_PYTHON:
        wanted = ".".join(str(part) for part in _OLDEST_PYTHON)
        yield _finding(
            "python",
            Level.BAD,
            f"This Python is older than {wanted}.",
            evidence,
            (f"Install Python {wanted} or newer.",),
        )
        return
    yield _finding("python", Level.OK, "Python is new enough.", evidence)
    if journal_mode() != "wal":
        said = "This SQLite has the WAL-reset defect, so the store keeps a rollback journal: safe, and a little slower."
        yield _finding(
            "sqlite", Level.OK, said, (f"SQLite {sqlite3.sqlite_version}", "sqlite.org/wal.html#walresetbug")
        )


def _driver(find: Callable[[], tuple[str, str]]) -> Finding:
    try:
        name, why = find()
    except LpmopsError as error:
        return _finding("driver", Level.BAD, error.message, (), (error.hint,) if error.hint else ())
    if name.startswith("odbc"):
        return _finding("driver", Level.OK, "Azure SQL is reached through Microsoft's ODBC driver.", (name,))
    said = "Azure SQL is reached through python-tds, in pure Python: it works, slower than Microsoft's ODBC driver."
    todo = ("apt-get install -y --no-install-recommends unixodbc libkrb5-3 libgssapi-krb5-2 libssl3",)
    return _finding(
        "driver", Level.WARN if why else Level.OK, said, (name, *([why] if why else [])), todo if why else ()
    )


def _colours(environ: Mapping[str, str], *, terminal: bool) -> Finding:
    term, depth = environ.get("TERM", ""), environ.get("COLORTERM", "")
    evidence = (
        f"TERM={term or 'unset'}",
        f"COLORTERM={depth or 'unset'}",
        *(["NO_COLOR is set"] if environ.get("NO_COLOR") else []),
    )
    if not terminal:
        return _finding("terminal", Level.OK, "The output is no terminal, so it has no colour.", evidence)
    if environ.get("NO_COLOR") or term in ("dumb", ""):
        return _finding("terminal", Level.OK, "Without colour: signs and words say everything.", evidence)
    if depth.lower() not in ("truecolor", "24bit") and "256color" not in term:
        return _finding(
            "terminal",
            Level.WARN,
            "The terminal says 16 colours; the app is drawn in those.",
            evidence,
            ("export COLORTERM=truecolor",),
        )
    return _finding("terminal", Level.OK, "The terminal has the colours that the app draws in.", evidence)


def _store(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield _finding("store", Level.OK, "There is no local store yet; the first look makes it.", (str(path),))
        return
    try:
        store = Store(path, writable=False)
        try:
            with store.reading() as connection:
                answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            store.close()
    except (LpmopsError, sqlite3.Error) as error:
        hint = getattr(error, "hint", "")
        said = getattr(error, "message", str(error))
        yield _finding(
            "store", Level.BAD, f"The local store can't be read: {said}", (str(path),), (hint,) if hint else ()
        )
        return
    evidence = (str(path), f"schema {version} of {latest_version()}", f"{path.stat().st_size / 2**20:.1f} MiB")
    if answer != "ok":
        todo = (f"mv {path} {path}.damaged", "lpmops status")
        yield _finding(
            "store",
            Level.BAD,
            "The local store is damaged; without it only history is lost.",
            (*evidence, answer),
            todo,
        )
    elif version > latest_version():
        yield _finding(
            "store", Level.BAD, "The local store was written by a newer lpmops.", evidence, ("Use that version.",)
        )
    else:
        yield _finding("store", Level.OK, "The local store is sound.", evidence)
