"""T-SQL's functions, by name: scalar functions in this room, aggregates and windows in aggregates.py.

A function that is not in the table is refused with 195, or 40514 where SQL Server has it and this server does not.
"""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call
from lpmops.sandbox.sql.translate import aggregates
from lpmops.sandbox.sql.translate.builtins import choice, dates, numbers, others, texts
from lpmops.sandbox.sql.translate.builtins.given import Functions, values
from lpmops.sandbox.sql.translate.fragment import Fragment, text
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import BIGINT, INT, SMALLINT, SYSNAME, VARIANT, SqlType, decimal, nvarchar

_GLOBALS: dict[str, SqlType] = {
    "@@ROWCOUNT": INT, "@@TRANCOUNT": INT, "@@ERROR": INT, "@@SPID": SMALLINT, "@@VERSION": nvarchar(300), "@@SERVERNAME": SYSNAME,
    "@@IDENTITY": decimal(38, 0), "@@LOCK_TIMEOUT": INT, "@@LANGUAGE": SYSNAME, "@@DATEFIRST": SqlType("tinyint"), "@@OPTIONS": INT,
    "@@MAX_PRECISION": SqlType("tinyint"), "@@TEXTSIZE": INT,
}  # fmt: skip

# Functions of the session: name -> (type, least and most arguments). Those without arguments are bound once, others ask row by row.
_SESSION: dict[str, tuple[SqlType, int, int]] = {
    "USER_NAME": (nvarchar(128), 0, 1), "SUSER_SNAME": (nvarchar(128), 0, 1), "SUSER_NAME": (nvarchar(128), 0, 1),
    "ORIGINAL_LOGIN": (SYSNAME, 0, 0), "CURRENT_USER": (SYSNAME, 0, 0), "SESSION_USER": (SYSNAME, 0, 0), "SYSTEM_USER": (SYSNAME, 0, 0),
    "USER": (SYSNAME, 0, 0), "DB_NAME": (nvarchar(128), 0, 1), "DB_ID": (INT, 0, 1), "APP_NAME": (nvarchar(128), 0, 0),
    "HOST_NAME": (nvarchar(128), 0, 0), "SCHEMA_NAME": (SYSNAME, 0, 1), "SCHEMA_ID": (INT, 0, 1), "OBJECT_ID": (INT, 1, 2),
    "OBJECT_NAME": (SYSNAME, 1, 2), "OBJECT_SCHEMA_NAME": (SYSNAME, 1, 2), "TYPE_ID": (INT, 1, 1), "TYPE_NAME": (SYSNAME, 1, 1),
    "COL_LENGTH": (SMALLINT, 2, 2), "COL_NAME": (SYSNAME, 2, 2), "INDEXPROPERTY": (INT, 3, 3), "COLUMNPROPERTY": (INT, 3, 3),
    "OBJECTPROPERTY": (INT, 2, 2), "HAS_PERMS_BY_NAME": (INT, 3, 3), "IS_MEMBER": (INT, 1, 1), "IS_ROLEMEMBER": (INT, 1, 2),
    "DATABASE_PRINCIPAL_ID": (INT, 0, 1), "USER_ID": (INT, 0, 1), "SERVERPROPERTY": (VARIANT, 1, 1), "DATABASEPROPERTYEX": (VARIANT, 2, 2),
    "FILEPROPERTY": (INT, 2, 2),
    "HAS_DBACCESS": (INT, 1, 1), "XACT_STATE": (SMALLINT, 0, 0), "ERROR_NUMBER": (INT, 0, 0), "ERROR_MESSAGE": (nvarchar(4000), 0, 0),
    "ERROR_SEVERITY": (INT, 0, 0), "ERROR_STATE": (INT, 0, 0), "ERROR_LINE": (INT, 0, 0), "ERROR_PROCEDURE": (nvarchar(128), 0, 0),
    "SCOPE_IDENTITY": (decimal(38, 0), 0, 0), "ROWCOUNT_BIG": (BIGINT, 0, 0), "SESSION_ID": (SMALLINT, 0, 0),
}  # fmt: skip

_ELSEWHERE = frozenset(
    """CHECKSUM CHECKSUM_AGG BINARY_CHECKSUM FORMAT STR PATINDEX SOUNDEX DIFFERENCE TRANSLATE RAND NEWSEQUENTIALID JSON_MODIFY JSON_OBJECT JSON_ARRAY
    JSON_PATH_EXISTS COMPRESS DECOMPRESS SWITCHOFFSET TODATETIMEOFFSET DATETIMEFROMPARTS DATETIME2FROMPARTS DATEFROMPARTS TIMEFROMPARTS DATE_BUCKET
    SESSION_CONTEXT CONTEXT_INFO FORMATMESSAGE GROUPING GROUPING_ID ISDATE ISNUMERIC SIN COS TAN COT ASIN ACOS ATAN ATN2 DEGREES RADIANS
    APPROX_COUNT_DISTINCT
    CURRENT_TIMEZONE CURRENT_TIMEZONE_ID CONNECTIONPROPERTY ASSEMBLYPROPERTY GET_FILESTREAM_TRANSACTION_CONTEXT HOST_ID
    MIN_ACTIVE_ROWVERSION ORIGINAL_DB_NAME PWDCOMPARE PWDENCRYPT PUBLISHINGSERVERNAME SQL_VARIANT_PROPERTY STATS_DATE TYPEPROPERTY
    OBJECT_DEFINITION OBJECTPROPERTYEX TEXTPTR TEXTVALID TRIGGER_NESTLEVEL UPDATE IDENT_CURRENT IDENT_SEED IDENT_INCR
    GETANSINULL PARSENAME UNISTR BIT_COUNT GET_BIT SET_BIT LEFT_SHIFT RIGHT_SHIFT GENERATE_SERIES REGEXP_LIKE HASH""".split()
)


_TABLE: Functions = {
    **choice.FUNCTIONS,
    **dates.FUNCTIONS,
    **texts.FUNCTIONS,
    **numbers.FUNCTIONS,
    **others.FUNCTIONS,
}


def global_variable(t: Translation, name: str) -> Fragment:
    """@@NAME. Raises SqlError 40513 for one that this server lacks."""
    kind = _GLOBALS.get(name.upper())
    if kind is None:
        raise SqlError(40513, f"Server variable '{name}' is not supported in this version of SQL Server.", 16, 1)
    return Fragment(t.bind("context", name.upper()), kind, nullable=name.upper() == "@@IDENTITY")


def call(t: Translation, scope: Scope, node: Call) -> Fragment:
    """Any function call. Raises SqlError 195, 174, 40514."""
    name = node.name.removeprefix("SYS.") if node.name.removeprefix("SYS.") in _SESSION else node.name
    if aggregates.handles(node):
        return aggregates.call(t, scope, node)
    if node.window is not None or node.within:
        raise SqlError(
            4113,
            f"The function '{node.name}' is not a valid windowing function, and cannot be used with the OVER clause.",
            16,
            1,
        )
    if node.star or node.distinct:
        raise errors.syntax("*" if node.star else "DISTINCT")
    if name in _SESSION:
        return _session(t, scope, name, node)
    entry = _TABLE.get(name)
    if entry is None:
        if name in _ELSEWHERE:
            raise errors.unsupported_feature(name)
        shown = node.name.lower()
        if "." in name:
            raise SqlError(
                4121,
                f'Cannot find either column "{shown.split(".")[0]}" or the user-defined function or aggregate "{shown}", or the name is ambiguous.',
                16,
                1,
            )
        raise SqlError(195, f"'{shown}' is not a recognized built-in function name.", 15, 10)
    least, most, handler = entry
    if not least <= len(node.arguments) <= most:
        if least == most:
            raise SqlError(174, f"The {name.lower()} function requires {least} argument(s).", 15, 1)
        raise SqlError(189, f"The {name.lower()} function requires {least} to {most} arguments.", 15, 1)
    return handler(t, scope, node)


def _session(t: Translation, scope: Scope, name: str, node: Call) -> Fragment:
    kind, least, most = _SESSION[name]
    if not least <= len(node.arguments) <= most:
        raise SqlError(174, f"The {name.lower()} function requires {least} argument(s).", 15, 1)
    if not node.arguments:
        return Fragment(t.bind("context", name), kind)
    given = values(t, scope, node)
    return Fragment(f"ts_ask({text(name)}, {', '.join(fragment.sql for fragment in given)})", kind)
