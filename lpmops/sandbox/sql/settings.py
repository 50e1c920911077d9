"""SET options: what they may be, and what they change in a session.

Options that only fit how this server always works are accepted at that value and refused, by name, at any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import SetOption

if TYPE_CHECKING:
    from lpmops.sandbox.sql.session import Session

# Always so here; a client that asks for the other way would get other results than from SQL Server.
_FIXED = {"ANSI_NULLS": "ON", "ANSI_PADDING": "ON", "ANSI_WARNINGS": "ON", "ARITHABORT": None, "CONCAT_NULL_YIELDS_NULL": "ON",
    "QUOTED_IDENTIFIER": "ON",
          "NUMERIC_ROUNDABORT": "OFF", "ANSI_NULL_DFLT_ON": "ON", "ANSI_NULL_DFLT_OFF": "OFF", "ANSI_DEFAULTS": "ON", "CURSOR_CLOSE_ON_COMMIT": None,
          "FMTONLY": "OFF", "NOEXEC": "OFF", "PARSEONLY": "OFF", "SHOWPLAN_ALL": "OFF", "SHOWPLAN_TEXT": "OFF", "SHOWPLAN_XML": "OFF",
          "ARITHIGNORE": "OFF",
          "STATISTICS IO": None, "STATISTICS TIME": None, "FORCEPLAN": "OFF", "REMOTE_PROC_TRANSACTIONS": "OFF", "NO_BROWSETABLE": None}  # fmt: skip


def apply_option(session: Session, statement: SetOption) -> None:
    """Apply one SET statement. Raises SqlError 195 for an unknown option, 40517 for one that this server cannot follow."""
    option, value = statement.option, statement.value
    settings = session.settings
    match option:
        case "NOCOUNT":
            settings.nocount = _switch(value)
        case "XACT_ABORT":
            settings.xact_abort = _switch(value)
        case "IMPLICIT_TRANSACTIONS":
            settings.implicit_transactions = _switch(value)
        case "LOCK_TIMEOUT":
            settings.lock_timeout = _number(value)
        case "TEXTSIZE":
            # A client that wants less than all of a long value is told so by its driver's own limit; cutting here would change data.
            settings.text_size = _number(value)
        case "TRANSACTION ISOLATION LEVEL":
            if value == "SNAPSHOT":
                raise errors.unsupported_option("SNAPSHOT")
            if value not in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
                raise errors.syntax(value)
            settings.isolation = value
        case "IDENTITY_INSERT":
            _identity_insert(session, statement)
        case "LANGUAGE" | "DATEFORMAT" | "DATEFIRST" | "ROWCOUNT" | "DEADLOCK_PRIORITY" | "QUERY_GOVERNOR_COST_LIMIT":
            usual = {
                "LANGUAGE": ("US_ENGLISH", "ENGLISH"),
                "DATEFORMAT": ("MDY", "YMD"),
                "DATEFIRST": ("7",),
                "ROWCOUNT": ("0",),
                "QUERY_GOVERNOR_COST_LIMIT": ("0",),
            }
            if option in usual and value not in usual[option]:
                raise errors.unsupported_option(f"SET {option} {value}")
        case _:
            _fixed(option, value)


def _fixed(option: str, value: str) -> None:
    for one in option.split(","):
        if one not in _FIXED:
            raise SqlError(195, f"'{one}' is not a recognized SET option.", 15, 5)
        wanted = _FIXED[one]
        if value not in ("ON", "OFF"):
            raise errors.syntax(value)
        if wanted is not None and value != wanted:
            raise errors.unsupported_option(f"SET {one} {value}")


def _switch(value: str) -> bool:
    if value not in ("ON", "OFF"):
        raise errors.syntax(value)
    return value == "ON"


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise errors.syntax(value) from None


def _identity_insert(session: Session, statement: SetOption) -> None:
    from lpmops.sandbox.sql.metadata import resolve_object

    shown = ".".join(statement.table)
    found = resolve_object(session, ".".join(f"[{part.replace(']', ']]')}]" for part in statement.table))
    if found is None:
        raise SqlError(
            1088, f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.', 16, 11
        )
    session.settings.identity_insert = found.object_id if statement.value == "ON" else 0
