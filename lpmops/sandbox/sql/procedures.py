"""The stored procedures this server has: sp_executesql, and what drivers call to describe types and parameters.

`call` runs one by name for EXEC and for RPC alike. Any other name is error 2812, as for a procedure that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from lpmops.sandbox.sql import batch as batches
from lpmops.sandbox.sql.conversion import Stored, converter
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.parser import parse, parse_declarations
from lpmops.sandbox.sql.results import Parameter, Sink
from lpmops.sandbox.sql.session import Session
from lpmops.sandbox.sql.system_views import system_type_id
from lpmops.sandbox.sql.translate import OutputColumn, infer_parameters
from lpmops.sandbox.sql.types import BIT, INT, MAX, SMALLINT, SYSNAME, SYSTEM_TYPES, TINYINT, SqlType, nvarchar, resolve

Returned = dict[str, Stored]


def call(
    session: Session, name: str, arguments: Sequence[Parameter], sink: Sink, nesting: int = 0, tries: int = 0
) -> tuple[int, Returned]:
    """Run a procedure: its status and the values of its OUTPUT parameters. Raises SqlError 2812."""
    bare = (
        name.lower()
        .removeprefix("sys.")
        .removeprefix("master.")
        .removeprefix("dbo.")
        .removeprefix(".")
        .removeprefix("sys.")
    )
    procedure = _PROCEDURES.get(bare)
    if procedure is None:
        raise SqlError(2812, f"Could not find stored procedure '{name}'.", 16, 62)
    return procedure(session, arguments, sink, nesting, tries)


def declared_parameters(declarations: str, given: Sequence[Parameter], collation: str) -> list[Parameter]:
    """Values for the declared parameters, by name or by place, in their declared types. Raises SqlError 8178, 8144, 8145."""
    declared = parse_declarations(declarations) if declarations.strip() else ()
    if len(given) > len(declared):
        raise SqlError(8144, "Procedure or function  has too many arguments specified.", 16, 2)
    named = {parameter.name.casefold(): parameter for parameter in given if parameter.name}
    known = {name.casefold() for name, _, _ in declared}
    for name in named:
        if name not in known:
            raise SqlError(8145, f"{name} is not a parameter for procedure .", 16, 2)
    found: list[Parameter] = []
    for place, (name, type_name, output) in enumerate(declared):
        kind = resolve(type_name.name, type_name.arguments, collation)
        parameter = named.get(name.casefold())
        if parameter is None and place < len(given) and not given[place].name:
            parameter = given[place]
        if parameter is None:
            if not output:
                shown = ", ".join(f"{each} {written.name}" for each, written, _ in declared)
                raise SqlError(
                    8178,
                    f"The parameterized query '({shown})' expects the parameter '{name}', which was not supplied.",
                    16,
                    1,
                )
            found.append(Parameter(name, kind, None, True))
            continue
        value = parameter.value
        if value is not None and parameter.type != kind:
            value = converter(parameter.type, kind)(value)
        found.append(Parameter(name, kind, value, output and parameter.output))
    return found


def _execute_sql(
    session: Session, arguments: Sequence[Parameter], sink: Sink, nesting: int, tries: int
) -> tuple[int, Returned]:
    """sp_executesql @stmt [, @params, values...]."""
    if not arguments or arguments[0].value is None:
        raise SqlError(
            201, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.", 16, 10
        )
    if not arguments[0].type.name.startswith("n"):
        raise SqlError(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.", 16, 2)
    declarations = str(arguments[1].value or "") if len(arguments) > 1 else ""
    return run_declared(session, str(arguments[0].value), declarations, arguments[2:], sink, nesting, tries)


def run_declared(
    session: Session,
    text: str,
    declarations: str,
    given: Sequence[Parameter],
    sink: Sink,
    nesting: int = 0,
    tries: int = 0,
) -> tuple[int, Returned]:
    """Run a parameterized text; what its OUTPUT parameters hold at the end, by name and by place among the given."""
    parameters = declared_parameters(declarations, given, session.catalog.collation)
    batch, status = batches.run_batch(session, text, parameters, sink, nesting, tries)
    returned: Returned = {}
    for place, parameter in enumerate(parameters):
        if parameter.output:
            returned[parameter.name.casefold()] = returned[str(place + 2)] = batch.values[parameter.name.casefold()]
    return status, returned


# sp_datatype_info_100: type name, ODBC type, precision, literal prefix and suffix, parameters, case, searchable, scales, SQL type and subtype.
# Source: ODBC SQLGetTypeInfo and the "sp_datatype_info" page; values for ODBC 3 (data types 91 and 93 for dates).
_TYPE_INFO: tuple[tuple[str, int, int, str | None, str | None, str | None, int, int, int | None, int | None, int | None, int, int | None], ...] = (
    ("datetimeoffset", -155, 34, "'", "'", "scale", 0, 3, None, 0, 7, -155, 0), ("time", -154, 16, "'", "'", "scale", 0, 3, None, 0, 7, -154, 0),
    ("sql_variant", -150, 8000, None, None, None, 0, 2, None, 0, 0, -150, None), ("uniqueidentifier", -11, 36, "'", "'", None, 0, 2, None,
        None, None, -11, None),
    ("nvarchar", -9, 4000, "N'", "'", "max length", 0, 3, None, None, None, -9, None), ("nchar", -8, 4000, "N'", "'", "length", 0, 3, None,
        None, None, -8, None),
    ("bit", -7, 1, None, None, None, 0, 2, None, 0, 0, -7, None), ("tinyint", -6, 3, None, None, None, 0, 2, 1, 0, 0, -6, None),
    ("bigint", -5, 19, None, None, None, 0, 2, 0, 0, 0, -5, None), ("varbinary", -3, 8000, "0x", None, "max length", 0, 2, None, None,
        None, -3, None),
    ("binary", -2, 8000, "0x", None, "length", 0, 2, None, None, None, -2, None), ("char", 1, 8000, "'", "'", "length", 0, 3, None, None,
        None, 1, None),
    ("decimal", 3, 38, None, None, "precision,scale", 0, 2, 0, 0, 38, 3, None), ("numeric", 2, 38, None, None, "precision,scale", 0, 2, 0,
        0, 38, 2, None),
    ("int", 4, 10, None, None, None, 0, 2, 0, 0, 0, 4, None), ("smallint", 5, 5, None, None, None, 0, 2, 0, 0, 0, 5, None),
    ("float", 6, 53, None, None, None, 0, 2, 0, None, None, 6, None), ("real", 7, 24, None, None, None, 0, 2, 0, None, None, 7, None),
    ("varchar", 12, 8000, "'", "'", "max length", 0, 3, None, None, None, 12, None), ("date", 91, 10, "'", "'", None, 0, 3, None, None, 0, 9, 1),
    ("datetime2", 93, 27, "'", "'", "scale", 0, 3, None, 0, 7, 9, 3), ("datetime", 93, 23, "'", "'", None, 0, 3, None, 3, 3, 9, 3),
    ("smalldatetime", 93, 16, "'", "'", None, 0, 3, None, 0, 0, 9, 3),
)  # fmt: skip
_TYPE_INFO_COLUMNS = (
    OutputColumn("TYPE_NAME", SYSNAME), OutputColumn("DATA_TYPE", SMALLINT), OutputColumn("PRECISION", INT), OutputColumn("LITERAL_PREFIX",
        nvarchar(32)),
    OutputColumn("LITERAL_SUFFIX", nvarchar(32)), OutputColumn("CREATE_PARAMS", nvarchar(32)), OutputColumn("NULLABLE", SMALLINT),
    OutputColumn("CASE_SENSITIVE", SMALLINT), OutputColumn("SEARCHABLE", SMALLINT), OutputColumn("UNSIGNED_ATTRIBUTE", SMALLINT),
    OutputColumn("MONEY", SMALLINT), OutputColumn("AUTO_INCREMENT", SMALLINT), OutputColumn("LOCAL_TYPE_NAME", SYSNAME),
        OutputColumn("MINIMUM_SCALE", SMALLINT),
    OutputColumn("MAXIMUM_SCALE", SMALLINT), OutputColumn("SQL_DATA_TYPE", SMALLINT), OutputColumn("SQL_DATETIME_SUB", SMALLINT),
    OutputColumn("NUM_PREC_RADIX", INT), OutputColumn("INTERVAL_PRECISION", SMALLINT), OutputColumn("USERTYPE", SMALLINT),
)  # fmt: skip


def _data_type_info(
    _session: Session, arguments: Sequence[Parameter], sink: Sink, _nesting: int, _tries: int
) -> tuple[int, Returned]:
    """sp_datatype_info [@data_type] [, @ODBCVer]."""
    wanted = int(
        next((p.value for p in arguments if p.name.casefold() in ("", "@data_type") and p.value is not None), 0)
    )
    sink.columns(_TYPE_INFO_COLUMNS)
    rows: list[tuple[Stored, ...]] = []
    for (
        name,
        number,
        precision,
        prefix,
        suffix,
        parameters,
        case,
        searchable,
        unsigned,
        low,
        high,
        sql_type,
        subtype,
    ) in _TYPE_INFO:
        if wanted in (0, number):
            radix = 10 if unsigned is not None else None
            rows.append((name, number, precision, prefix, suffix, parameters, 1, case, searchable, unsigned, 0,
            0 if unsigned is not None else None, name,
                         low, high, sql_type, subtype, radix, None, 0))  # fmt: skip
    sink.rows(rows)
    sink.done(len(rows), "SELECT")
    return 0, {}


_DESCRIBED = (
    OutputColumn("parameter_ordinal", INT, False), OutputColumn("name", SYSNAME, False), OutputColumn("suggested_system_type_id", INT, False),
    OutputColumn("suggested_system_type_name", nvarchar(256)), OutputColumn("suggested_max_length", SMALLINT, False),
    OutputColumn("suggested_precision", TINYINT, False), OutputColumn("suggested_scale", TINYINT, False), OutputColumn("suggested_user_type_id", INT),
    OutputColumn("suggested_user_type_database", SYSNAME), OutputColumn("suggested_user_type_schema", SYSNAME),
        OutputColumn("suggested_user_type_name", SYSNAME),
    OutputColumn("suggested_assembly_qualified_type_name", nvarchar(4000)), OutputColumn("suggested_xml_collection_id", INT),
    OutputColumn("suggested_xml_collection_database", SYSNAME), OutputColumn("suggested_xml_collection_schema", SYSNAME),
    OutputColumn("suggested_xml_collection_name", SYSNAME), OutputColumn("suggested_is_xml_document", BIT, False),
    OutputColumn("suggested_is_case_sensitive", BIT, False), OutputColumn("suggested_is_fixed_length_clr_type", BIT, False),
    OutputColumn("suggested_is_input", BIT, False), OutputColumn("suggested_is_output", BIT, False), OutputColumn("formal_parameter_name", SYSNAME),
    OutputColumn("suggested_tds_type_id", INT, False), OutputColumn("suggested_tds_length", INT, False),
)  # fmt: skip

# MS-TDS 2.2.5.4: the token of each type and its length on the wire.
_TDS_TYPES = {"bit": (0x68, 1), "tinyint": (0x26, 1), "smallint": (0x26, 2), "int": (0x26, 4), "bigint": (0x26, 8), "float": (0x6D, 8),
    "real": (0x6D, 4),
              "decimal": (0x6C, 17), "uniqueidentifier": (0x24, 16), "date": (0x28, 3), "time": (0x29, 5), "datetime2": (0x2A, 8),
              "datetimeoffset": (0x2B, 10), "datetime": (0x6F, 8), "smalldatetime": (0x6F, 4), "char": (0xAF, 0), "varchar": (0xA7, 0),
              "nchar": (0xEF, 0), "nvarchar": (0xE7, 0), "binary": (0xAD, 0), "varbinary": (0xA5, 0), "sql_variant": (0x62, 8016)}  # fmt: skip


def _describe_parameters(
    session: Session, arguments: Sequence[Parameter], sink: Sink, _nesting: int, _tries: int
) -> tuple[int, Returned]:
    """sp_describe_undeclared_parameters @tsql [, @params]. Raises SqlError 11502-like 11504 where a type cannot be told."""
    text = str(arguments[0].value or "") if arguments else ""
    declarations = str(arguments[1].value or "") if len(arguments) > 1 else ""
    known = (
        {
            name.casefold(): resolve(written.name, written.arguments)
            for name, written, _ in parse_declarations(declarations)
        }
        if declarations
        else {}
    )
    inferred = infer_parameters(parse(text), session.catalog, known, session.database.name, session.default_schema)
    wanted = list(
        dict.fromkeys(name for name in re.findall(r"@[\w@$#]+", _without_literals(text)) if not name.startswith("@@"))
    )
    rows: list[tuple[Stored, ...]] = []
    for name in wanted:
        if name.casefold() in known:
            continue
        kind = inferred.get(name.casefold())
        if kind is None:
            raise SqlError(11502, f"The type for parameter '{name}' cannot be deduced in this context.", 16, 1)
        rows.append(_described(len(rows) + 1, name, kind))
    sink.columns(_DESCRIBED)
    sink.rows(rows)
    sink.done(len(rows), "SELECT")
    return 0, {}


def _without_literals(text: str) -> str:
    from lpmops.sandbox.sql.lexer import VARIABLE, tokenize

    return " ".join(token.text for token in tokenize(text) if token.kind == VARIABLE)


def _described(place: int, name: str, kind: SqlType) -> tuple[Stored, ...]:
    token, size = _TDS_TYPES[kind.name]
    length = 65535 if kind.length == MAX else kind.max_length() if size == 0 else size
    precision, scale = (0, 0) if kind.is_character or kind.is_binary else kind.shown_precision()
    return (place, name, system_type_id(kind), kind.declaration(), kind.max_length(), precision, scale, None, None, None, None, None, None,
        None, None, None,
            0, 0, 0, 1, 0, None, token, length)  # fmt: skip


def _reset(
    session: Session, _arguments: Sequence[Parameter], _sink: Sink, _nesting: int, _tries: int
) -> tuple[int, Returned]:
    session.reset()
    return 0, {}


_PROCEDURES: dict[str, Callable[[Session, Sequence[Parameter], Sink, int, int], tuple[int, Returned]]] = {
    "sp_executesql": _execute_sql, "sp_datatype_info": _data_type_info, "sp_datatype_info_100": _data_type_info,
    "sp_datatype_info_90": _data_type_info, "sp_describe_undeclared_parameters": _describe_parameters, "sp_reset_connection": _reset,
}  # fmt: skip

_FORMAT = re.compile(r"%([-+0 #]*)(\d+|\*)?(?:\.(\d+|\*))?(?:I64|[hl])?([diouxXs%])")


def formatted_message(text: str, given: Sequence[Stored]) -> str:
    """RAISERROR's printf. Raises SqlError 2786, 2787 for what does not fit its format."""
    values = list(given)

    def replaced(match: re.Match[str]) -> str:
        flags, width, precision, letter = match.groups()
        if letter == "%":
            return "%"
        if "*" in (width, precision):
            raise SqlError(2787, f"Invalid format specification: '{match[0]}'.", 16, 1)
        value = values.pop(0) if values else None
        if value is None:
            return "(null)"
        if (letter == "s") != isinstance(value, str) or isinstance(value, (float, bytes, Decimal)):
            raise SqlError(
                2786,
                f"The data type of substitution parameter {len(given) - len(values)} does not match the expected type of the format specification.",
                16,
                1,
            )
        shape = f"%{flags}{width or ''}{'.' + precision if precision else ''}{'d' if letter in 'iu' else letter}"
        return shape % value

    return _FORMAT.sub(replaced, text)[:2047]


assert set(_TDS_TYPES) <= set(SYSTEM_TYPES)
