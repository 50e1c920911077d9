"""T-SQL's functions, by name: scalar functions here, aggregates and windows in aggregates.py.

A function that is not in the table is refused with 195, or 40514 where SQL Server has it and this server does not.
"""

from __future__ import annotations

from collections.abc import Callable

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import Call, Column, Expression
from lpmops.sandbox.sql.translate import aggregates, expressions
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.fragment import Fragment, text
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import (
    BIGINT,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    MAX,
    SMALLINT,
    SYSNAME,
    UNIQUEIDENTIFIER,
    VARIANT,
    SqlType,
    datetime2,
    decimal,
    is_binary_pair,
    nvarchar,
    varbinary,
    varchar,
)

Handler = Callable[[Translation, Scope, Call], Fragment]

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
    "HAS_DBACCESS": (INT, 1, 1), "XACT_STATE": (SMALLINT, 0, 0), "ERROR_NUMBER": (INT, 0, 0), "ERROR_MESSAGE": (nvarchar(4000), 0, 0),
    "ERROR_SEVERITY": (INT, 0, 0), "ERROR_STATE": (INT, 0, 0), "ERROR_LINE": (INT, 0, 0), "ERROR_PROCEDURE": (nvarchar(128), 0, 0),
    "SCOPE_IDENTITY": (decimal(38, 0), 0, 0), "ROWCOUNT_BIG": (BIGINT, 0, 0), "SESSION_ID": (SMALLINT, 0, 0),
}  # fmt: skip

_ELSEWHERE = frozenset(
    """CHECKSUM CHECKSUM_AGG BINARY_CHECKSUM FORMAT STR PATINDEX SOUNDEX DIFFERENCE TRANSLATE RAND NEWSEQUENTIALID JSON_MODIFY JSON_OBJECT JSON_ARRAY
    JSON_PATH_EXISTS COMPRESS DECOMPRESS SWITCHOFFSET TODATETIMEOFFSET DATETIMEFROMPARTS DATETIME2FROMPARTS DATEFROMPARTS TIMEFROMPARTS DATE_BUCKET
    SESSION_CONTEXT CONTEXT_INFO FORMATMESSAGE GROUPING GROUPING_ID ISDATE ISNUMERIC SIN COS TAN COT ASIN ACOS ATAN ATN2 DEGREES RADIANS
    APPROX_COUNT_DISTINCT
    CURRENT_TIMEZONE CURRENT_TIMEZONE_ID CONNECTIONPROPERTY ASSEMBLYPROPERTY FILEPROPERTY GET_FILESTREAM_TRANSACTION_CONTEXT HOST_ID
    MIN_ACTIVE_ROWVERSION ORIGINAL_DB_NAME PWDCOMPARE PWDENCRYPT PUBLISHINGSERVERNAME SQL_VARIANT_PROPERTY STATS_DATE TYPEPROPERTY CHOOSE
    GREATEST LEAST OBJECT_DEFINITION OBJECTPROPERTYEX TEXTPTR TEXTVALID TRIGGER_NESTLEVEL UPDATE IDENT_CURRENT IDENT_SEED IDENT_INCR
    GETANSINULL PARSENAME UNISTR BIT_COUNT GET_BIT SET_BIT LEFT_SHIFT RIGHT_SHIFT GENERATE_SERIES REGEXP_LIKE HASH""".split()
) - {"CHOOSE", "GREATEST", "LEAST"}


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
    given = [expressions.value(t, scope, argument) for argument in node.arguments]
    return Fragment(f"ts_ask({text(name)}, {', '.join(fragment.sql for fragment in given)})", kind)


def _values(t: Translation, scope: Scope, node: Call) -> list[Fragment]:
    return [expressions.value(t, scope, argument) for argument in node.arguments]


def _text(t: Translation, fragment: Fragment) -> Fragment:
    """An argument that must be characters; numbers and moments become them."""
    fragment = t.infer(fragment, nvarchar())
    return (
        fragment if fragment.known_type.is_character and fragment.type is not None else coerce(t, fragment, nvarchar())
    )


def _whole(t: Translation, fragment: Fragment) -> str:
    return coerce(t, fragment, BIGINT).sql


def _sensitive(*fragments: Fragment) -> int:
    return int(any(is_binary_pair(fragment.known_type, fragment.known_type) for fragment in fragments))


def _nullable(fragments: list[Fragment]) -> bool:
    return any(fragment.nullable for fragment in fragments)


# --- choice -------------------------------------------------------------------------------------------------------------------------------------


def _iif(t: Translation, scope: Scope, node: Call) -> Fragment:
    test = expressions.condition(t, scope, node.arguments[0])
    return expressions.choose(t, test, *(expressions.value(t, scope, argument) for argument in node.arguments[1:]))


def _coalesce(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.unify(t, _values(t, scope, node))
    if all(fragment.type is None for fragment in given):
        raise SqlError(
            4127,
            "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
            16,
            1,
        )
    return Fragment(f"coalesce({', '.join(f.sql for f in given)})", given[0].known_type, all(f.nullable for f in given))


def _is_null(t: Translation, scope: Scope, node: Call) -> Fragment:
    """ISNULL gives the first argument's type, and cuts text to its size."""
    first, second = _values(t, scope, node)
    kind = first.type or second.known_type
    other = coerce(t, second, kind, explicit=kind.is_character)
    return Fragment(f"ifnull({first.sql}, {other.sql})", kind, first.nullable and other.nullable)


def _null_if(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, second = _values(t, scope, node)
    return Fragment(
        f"(CASE WHEN {expressions.compare(t, '=', first, second)} THEN NULL ELSE {first.sql} END)", first.known_type
    )


def _choose(t: Translation, scope: Scope, node: Call) -> Fragment:
    index = _whole(t, expressions.value(t, scope, node.arguments[0]))
    given = expressions.unify(t, [expressions.value(t, scope, argument) for argument in node.arguments[1:]])
    cases = " ".join(f"WHEN {place} THEN {fragment.sql}" for place, fragment in enumerate(given, 1))
    return Fragment(f"(CASE {index} {cases} END)", given[0].known_type)


def _extreme(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        """GREATEST and LEAST pass over NULLs, unlike SQLite's max and min."""
        best, *rest = expressions.unify(t, _values(t, scope, node))
        sign = ">" if function == "max" else "<"
        for other in rest:
            better = expressions.compare(t, sign, other, best)
            sql = f"(CASE WHEN {best.sql} IS NULL THEN {other.sql} WHEN {better} THEN {other.sql} ELSE {best.sql} END)"
            best = Fragment(sql, best.known_type, best.nullable and other.nullable)
        return best

    return handler


# --- dates and times ----------------------------------------------------------------------------------------------------------------------------


def _now(kind: SqlType) -> Handler:
    def handler(t: Translation, _scope: Scope, _node: Call) -> Fragment:
        return Fragment(t.bind("context", f"NOW {kind.name}"), kind, nullable=False)

    return handler


def _datepart(node: Expression) -> str:
    if not isinstance(node, Column) or len(node.parts) != 1:
        raise SqlError(1023, "Invalid parameter 1 specified for datepart.", 15, 1)
    return moments.part_name(node.parts[0])


def _moment(t: Translation, fragment: Fragment, legacy: bool = False) -> Fragment:
    """An argument that must be a date or time; text is read as one."""
    fragment = t.infer(fragment, datetime2())
    if fragment.type is None:
        return coerce(t, fragment, datetime2())
    if fragment.type.is_character:
        return coerce(t, fragment, DATETIME if legacy else datetime2())
    if not fragment.type.is_temporal:
        raise SqlError(
            8116, f"Argument data type {fragment.type.name} is invalid for argument 2 of a date function.", 16, 1
        )
    return fragment


def _date_add(t: Translation, scope: Scope, node: Call) -> Fragment:
    part = _datepart(node.arguments[0])
    number, moment = (expressions.value(t, scope, argument) for argument in node.arguments[1:])
    moment = _moment(t, moment, legacy=True)
    kind = moment.known_type
    if kind.name == "datetime" and part in ("microsecond", "nanosecond"):
        raise SqlError(
            9810, f"The datepart {part} is not supported by date function dateadd for data type datetime.", 16, 1
        )
    if kind.name == "datetime2" and part in ("microsecond", "nanosecond", "millisecond"):
        kind = datetime2(max(kind.scale, {"millisecond": 3, "microsecond": 6, "nanosecond": 7}[part]))
    # DATEADD cuts a fraction off its number.
    count = coerce(t, number, INT, explicit=True).sql if number.known_type.name != "bigint" else number.sql
    sql = f"ts_date_add('{part}', {count}, {moment.sql}, '{kind.name}')"
    return Fragment(sql, kind, number.nullable or moment.nullable)


_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "dayofyear": 86400, "weekday": 86400}
_FRACTION_DIGITS = {"millisecond": 3, "microsecond": 6}


def _date_difference(big: bool) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        part = _datepart(node.arguments[0])
        start, end = (_moment(t, expressions.value(t, scope, argument)) for argument in node.arguments[1:])
        nullable = start.nullable or end.nullable
        kind = BIGINT if big else INT
        fast = _counted(part, start, end)
        if fast and big:
            return Fragment(fast, kind, nullable)
        if fast and part in _SECONDS and _SECONDS[part] > 1:
            return Fragment(fast, kind, nullable)
        return Fragment(f"ts_date_difference('{part}', {start.sql}, {end.sql}, {int(not big)})", kind, nullable)

    return handler


def _counted(part: str, start: Fragment, end: Fragment) -> str:
    """DATEDIFF by SQLite's own functions, which is many times faster than by ours; empty where they cannot."""
    if not (start.known_type.is_timestamp and end.known_type.is_timestamp):
        return ""
    if part in _SECONDS:
        size = _SECONDS[part]
        units = [
            f"(CAST(strftime('%s', substr({side.sql}, 1, 19)) AS INTEGER) + 62135596800) / {size}"
            for side in (start, end)
        ]
        return f"({units[1]} - {units[0]})"
    digits = _FRACTION_DIGITS.get(part)
    if digits is None:
        return ""
    scale = 10**digits
    units = [
        f"(CAST(strftime('%s', substr({side.sql}, 1, 19)) AS INTEGER) * {scale} + CAST(substr({side.sql}, 21, {digits}) AS INTEGER))"
        for side in (start, end)
    ]
    return f"({units[1]} - {units[0]})"


def _date_part(name: str | None = None) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        part = name or _datepart(node.arguments[0])
        moment = _moment(t, expressions.value(t, scope, node.arguments[-1]))
        return Fragment(f"ts_date_part('{part}', {moment.sql})", INT, moment.nullable)

    return handler


def _date_name(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = _moment(t, expressions.value(t, scope, node.arguments[1]))
    return Fragment(f"ts_date_name('{_datepart(node.arguments[0])}', {moment.sql})", nvarchar(30), moment.nullable)


def _date_truncate(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = _moment(t, expressions.value(t, scope, node.arguments[1]))
    if moment.known_type.name not in ("date", "datetime2", "datetime"):
        raise errors.unsupported_feature(f"DATETRUNC of {moment.known_type.name}")
    return Fragment(
        f"ts_date_truncate('{_datepart(node.arguments[0])}', {moment.sql}, '{moment.known_type.name}')",
        moment.known_type,
        moment.nullable,
    )


def _end_of_month(t: Translation, scope: Scope, node: Call) -> Fragment:
    moment = coerce(t, _moment(t, expressions.value(t, scope, node.arguments[0])), DATE)
    months = _whole(t, expressions.value(t, scope, node.arguments[1])) if len(node.arguments) > 1 else "0"
    return Fragment(f"ts_end_of_month({moment.sql}, {months})", DATE, True)


# --- text ---------------------------------------------------------------------------------------------------------------------------------------


def _length(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.value(t, scope, node.arguments[0])
    if given.known_type.is_binary:
        return Fragment(f"length({given.sql})", INT, given.nullable)
    found = _text(t, given)
    return Fragment(f"ts_length({found.sql})", BIGINT if found.known_type.length == MAX else INT, found.nullable)


def _data_length(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = expressions.value(t, scope, node.arguments[0])
    kind = given.known_type
    result = BIGINT if kind.length == MAX else INT
    if kind.is_binary:
        return Fragment(f"length({given.sql})", result, given.nullable)
    if kind.is_character:
        size = "ts_utf16({0}) * 2" if kind.name.startswith("n") else "length({0})"
        return Fragment(
            f"(CASE WHEN {given.sql} IS NULL THEN NULL ELSE {size.format(given.sql)} END)", result, given.nullable
        )
    return Fragment(f"(CASE WHEN {given.sql} IS NULL THEN NULL ELSE {kind.max_length()} END)", INT, given.nullable)


def _same_text(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        found = _text(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"{function}({found.sql})", found.known_type, found.nullable)

    return handler


def _trim(sides: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        found = _text(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"{sides}({found.sql}, ' ')", found.known_type, found.nullable)

    return handler


def _substring(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, start, length = _values(t, scope, node)
    given = first if first.known_type.is_binary else _text(t, first)
    kind = given.known_type
    if isinstance(length.constant, int) and length.constant > 0 and kind.length != MAX:
        kind = SqlType(kind.name, min(kind.length, length.constant), collation=kind.collation)
    return Fragment(f"ts_substring({given.sql}, {_whole(t, start)}, {_whole(t, length)})", kind, True)


def _edge(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        first, length = _values(t, scope, node)
        given = _text(t, first)
        return Fragment(f"{function}({given.sql}, {_whole(t, length)})", given.known_type, _nullable([given, length]))

    return handler


def _char_index(t: Translation, scope: Scope, node: Call) -> Fragment:
    wanted, given, *rest = _values(t, scope, node)
    wanted, given = _text(t, wanted), _text(t, given)
    start = _whole(t, rest[0]) if rest else "1"
    kind = BIGINT if given.known_type.length == MAX else INT
    return Fragment(f"ts_char_index({wanted.sql}, {given.sql}, {start}, {_sensitive(wanted, given)})", kind, True)


def _replace(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = [_text(t, fragment) for fragment in _values(t, scope, node)]
    wide = MAX if given[0].known_type.length == MAX else (4000 if given[0].known_type.name.startswith("n") else 8000)
    kind = nvarchar(wide) if given[0].known_type.name.startswith("n") else varchar(wide)
    return Fragment(f"ts_replace({', '.join(f.sql for f in given)}, {_sensitive(*given)})", kind, _nullable(given))


def _stuff(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, start, length, new = _values(t, scope, node)
    given, inserted = _text(t, first), _text(t, new)
    return Fragment(f"ts_stuff({given.sql}, {_whole(t, start)}, {_whole(t, length)}, {inserted.sql})", nvarchar(), True)


def _joined(function: str, separator: bool) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = [_text(t, fragment) for fragment in _values(t, scope, node)]
        kinds = [fragment.known_type for fragment in given]
        unicode = any(kind.name.startswith("n") for kind in kinds)
        limit = 4000 if unicode else 8000
        total = (
            MAX
            if any(kind.length == MAX for kind in kinds)
            else min(limit, sum(kind.length for kind in kinds) + (len(kinds) if separator else 0))
        )
        kind = nvarchar(total) if unicode else varchar(total)
        return Fragment(f"{function}({', '.join(f.sql for f in given)})", kind, nullable=False)

    return handler


def _quote_name(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = [_text(t, fragment).sql for fragment in _values(t, scope, node)]
    return Fragment(
        f"ts_quote_name({given[0]}, {given[1] if len(given) > 1 else chr(39) + '[' + chr(39)})", nvarchar(258)
    )


def _replicate(t: Translation, scope: Scope, node: Call) -> Fragment:
    first, count = _values(t, scope, node)
    given = _text(t, first)
    return Fragment(
        f"ts_replicate({given.sql}, {_whole(t, count)})",
        nvarchar() if given.known_type.name.startswith("n") else varchar(),
        True,
    )


def _space(t: Translation, scope: Scope, node: Call) -> Fragment:
    return Fragment(
        f"ts_replicate(' ', {_whole(t, expressions.value(t, scope, node.arguments[0]))})", varchar(8000), True
    )


def _character(limit: int) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        code = _whole(t, expressions.value(t, scope, node.arguments[0]))
        return Fragment(f"ts_character({code}, {limit})", varchar(1) if limit == 255 else nvarchar(1), True)

    return handler


def _unicode(t: Translation, scope: Scope, node: Call) -> Fragment:
    return Fragment(f"ts_unicode({_text(t, expressions.value(t, scope, node.arguments[0])).sql})", INT, True)


# --- numbers ------------------------------------------------------------------------------------------------------------------------------------


def _numeric(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = t.infer(expressions.value(t, scope, node.arguments[0]), FLOAT)
    kind = given.known_type
    if kind.is_character:
        return coerce(t, given, FLOAT)
    if not kind.is_number:
        raise SqlError(
            8116, f"Argument data type {kind.name} is invalid for argument 1 of {node.name.lower()} function.", 16, 1
        )
    return given


def _absolute(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    sql = f"ts_sign_decimal({given.sql}, 'abs')" if given.known_type.name == "decimal" else f"abs({given.sql})"
    return Fragment(sql, given.known_type, given.nullable)


def _to_whole(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = _numeric(t, scope, node)
        kind = given.known_type
        if kind.is_integer:
            return given
        if kind.name == "decimal":
            return Fragment(f"ts_sign_decimal({given.sql}, '{function}')", decimal(kind.precision, 0), given.nullable)
        mode = (
            "CAST({0} AS INTEGER) + ({0} > CAST({0} AS INTEGER))"
            if function == "ceiling"
            else "CAST({0} AS INTEGER) - ({0} < CAST({0} AS INTEGER))"
        )
        return Fragment(f"CAST({mode.format(given.sql)} AS REAL)", FLOAT, given.nullable)

    return handler


def _round(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    rest = [_whole(t, expressions.value(t, scope, argument)) for argument in node.arguments[1:]]
    kind = given.known_type
    precision, scale = (kind.precision, kind.scale) if kind.name == "decimal" else (0, 0)
    sql = f"ts_round({given.sql}, {rest[0]}, {rest[1] if len(rest) > 1 else 0}, {precision}, {scale})"
    return Fragment(sql, FLOAT if kind.name == "real" else kind, given.nullable)


def _float_function(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = coerce(t, _numeric(t, scope, node), FLOAT)
        return Fragment(f"{function}({given.sql})", FLOAT, given.nullable)

    return handler


def _power(t: Translation, scope: Scope, node: Call) -> Fragment:
    base, exponent = (coerce(t, expressions.value(t, scope, argument), FLOAT) for argument in node.arguments)
    kind = _numeric(t, scope, node).known_type
    powered = Fragment(f"ts_power({base.sql}, {exponent.sql})", FLOAT, base.nullable or exponent.nullable)
    return powered if kind.name in ("float", "real") else coerce(t, powered, kind, explicit=True)


def _square(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = coerce(t, _numeric(t, scope, node), FLOAT)
    return Fragment(f"ts_power({given.sql}, 2.0)", FLOAT, given.nullable)


def _sign(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _numeric(t, scope, node)
    signed = Fragment(f"sign(CAST({given.sql} AS REAL))", FLOAT, given.nullable)
    return Fragment(f"CAST({signed.sql} AS INTEGER)", given.known_type, given.nullable) if given.known_type.is_integer else coerce(
        t, signed, given.known_type, explicit=True)  # fmt: skip


# --- JSON, hashes, identifiers ------------------------------------------------------------------------------------------------------------------


def _json(function: str) -> Handler:
    def handler(t: Translation, scope: Scope, node: Call) -> Fragment:
        given = [_text(t, fragment).sql for fragment in _values(t, scope, node)]
        sql = f"{function}({given[0]}, {given[1] if len(given) > 1 else chr(39) + '$' + chr(39)})"
        return Fragment(sql, nvarchar(4000) if function == "ts_json_value" else nvarchar(), True)

    return handler


def _is_json(t: Translation, scope: Scope, node: Call) -> Fragment:
    given = _text(t, expressions.value(t, scope, node.arguments[0])).sql
    # ISJSON is 1 for an object or array alone; SQLite calls a bare number valid too.
    start = f"substr(ltrim({given}, char(32, 9, 10, 13)), 1, 1)"
    return Fragment(
        f"(CASE WHEN {given} IS NULL THEN NULL ELSE json_valid({given}) AND {start} IN ('{{', '[') END)", INT, True
    )


def _hash_bytes(t: Translation, scope: Scope, node: Call) -> Fragment:
    algorithm, data = _values(t, scope, node)
    given = data if data.known_type.is_binary else coerce(t, _text(t, data), varbinary(), explicit=True)
    return Fragment(f"ts_hash_bytes({_text(t, algorithm).sql}, {given.sql})", varbinary(8000), True)


def _new_id(_t: Translation, _scope: Scope, _node: Call) -> Fragment:
    return Fragment("ts_newid()", UNIQUEIDENTIFIER, nullable=False)


def _pi(_t: Translation, _scope: Scope, _node: Call) -> Fragment:
    return Fragment("3.141592653589793", FLOAT, nullable=False)


_TABLE: dict[str, tuple[int, int, Handler]] = {
    "IIF": (3, 3, _iif), "COALESCE": (2, 1000, _coalesce), "ISNULL": (2, 2, _is_null), "NULLIF": (2, 2, _null_if), "CHOOSE": (2, 255, _choose),
    "GREATEST": (1, 254, _extreme("max")), "LEAST": (1, 254, _extreme("min")),
    "SYSUTCDATETIME": (0, 0, _now(datetime2())), "SYSDATETIME": (0, 0, _now(datetime2())), "GETUTCDATE": (0, 0, _now(DATETIME)),
    "GETDATE": (0, 0, _now(DATETIME)), "CURRENT_TIMESTAMP": (0, 0, _now(DATETIME)),
    "SYSDATETIMEOFFSET": (0, 0, _now(SqlType("datetimeoffset", scale=7))),
    "DATEADD": (3, 3, _date_add), "DATEDIFF": (3, 3, _date_difference(False)), "DATEDIFF_BIG": (3, 3, _date_difference(True)),
    "DATEPART": (2, 2, _date_part()), "DATENAME": (2, 2, _date_name), "YEAR": (1, 1, _date_part("year")), "MONTH": (1, 1, _date_part("month")),
    "DAY": (1, 1, _date_part("day")), "EOMONTH": (1, 2, _end_of_month), "DATETRUNC": (2, 2, _date_truncate),
    "LEN": (1, 1, _length), "DATALENGTH": (1, 1, _data_length), "UPPER": (1, 1, _same_text("ts_upper")), "LOWER": (1, 1, _same_text("ts_lower")),
    "REVERSE": (1, 1, _same_text("ts_reverse")), "LTRIM": (1, 1, _trim("ltrim")), "RTRIM": (1, 1, _trim("rtrim")), "TRIM": (1, 1, _trim("trim")),
    "SUBSTRING": (3, 3, _substring), "LEFT": (2, 2, _edge("ts_left")), "RIGHT": (2, 2, _edge("ts_right")), "CHARINDEX": (2, 3, _char_index),
    "REPLACE": (3, 3, _replace), "STUFF": (4, 4, _stuff), "CONCAT": (2, 254, _joined("ts_concat", False)),
    "CONCAT_WS": (3, 254, _joined("ts_concat_ws", True)), "QUOTENAME": (1, 2, _quote_name), "REPLICATE": (2, 2, _replicate), "SPACE": (1, 1, _space),
    "CHAR": (1, 1, _character(255)), "NCHAR": (1, 1, _character(65535)), "ASCII": (1, 1, _unicode), "UNICODE": (1, 1, _unicode),
    "ABS": (1, 1, _absolute), "CEILING": (1, 1, _to_whole("ceiling")), "FLOOR": (1, 1, _to_whole("floor")), "ROUND": (2, 3, _round),
    "POWER": (2, 2, _power), "SQUARE": (1, 1, _square), "SQRT": (1, 1, _float_function("ts_sqrt")), "LOG": (1, 1, _float_function("ts_log")),
    "LOG10": (1, 1, _float_function("ts_log10")), "EXP": (1, 1, _float_function("ts_exp")), "SIGN": (1, 1, _sign), "PI": (0, 0, _pi),
    "JSON_VALUE": (2, 2, _json("ts_json_value")), "JSON_QUERY": (1, 2, _json("ts_json_query")), "ISJSON": (1, 1, _is_json),
    "HASHBYTES": (2, 2, _hash_bytes), "NEWID": (0, 0, _new_id),
}  # fmt: skip
