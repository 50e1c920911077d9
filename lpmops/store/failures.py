"""What SQLite, the disk and a damaged body raise, as a StoreError that names the file and the next step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lpmops.errors import StoreError

BUSY_MILLISECONDS = 5_000


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise inside into a StoreError that names the file and the next step."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error, path) from error
    except UnicodeDecodeError as error:
        # sqlite3 gives damaged text, even that of its own messages, to the decoder.
        raise damaged(path, "its text can't be read") from error
    except OSError as error:
        raise StoreError(
            f"The store {path} can't be used: {error.strerror or error}.",
            hint=f"Check the rights of {path.parent}, or set LPMOPS_STATE_DIR.",
        ) from error


def damaged(path: Path, what: str) -> StoreError:
    """The error for a store whose content can't be believed."""
    return StoreError(
        f"The store {path} is damaged: {what}.",
        hint=f"Move it aside and lpmops begins a new one: mv '{path}' '{path}.damaged'   (only history is lost; the next refresh rebuilds the rest)",
    )


@contextmanager
def believing(path: Path) -> Iterator[None]:
    """Turn a body that can't be decoded inside into the error that names the store."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _explain(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.ProgrammingError):
        return StoreError(f"The store {path} is closed or was used wrongly: {error}.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"The disk that holds {path} is full; nothing was half written.",
            hint=f"Free some space on the disk of {path.parent}.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"Another process kept the store {path} locked for {BUSY_MILLISECONDS / 1000:.0f} s.",
            hint="Try again; see which lpmops still runs.",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            f"The store {path} can't be opened or written: {error}.",
            hint=f"Check the rights of {path.parent}, or set LPMOPS_STATE_DIR.",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"The disk that holds {path} failed or is full: {error}.", hint=f"Check the disk of {path.parent}."
        )
    # A table or column that is missing from a store of the right version can only be damage.
    return damaged(path, str(error))
