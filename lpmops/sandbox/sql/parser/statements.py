"""Batches: one statement after another, control of flow, changes of rows, variables, transactions, EXEC."""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.lexer import END, INTEGER, NATIONAL, OPERATOR, STRING, VARIABLE
from lpmops.sandbox.sql.parser import definitions, queries
from lpmops.sandbox.sql.parser.cursor import Cursor
from lpmops.sandbox.sql.parser.expressions import expression, type_name
from lpmops.sandbox.sql.syntax import (
    Argument,
    Assignment,
    Binary,
    Block,
    Column,
    CommonTable,
    Declare,
    Delete,
    Execute,
    Expression,
    If,
    Insert,
    InsertBulk,
    Literal,
    LoopExit,
    Print,
    Raiserror,
    Return,
    SelectItem,
    SelectStatement,
    SetOption,
    SetVariable,
    Statement,
    TableName,
    Throw,
    Transaction,
    Truncate,
    TryCatch,
    TypeName,
    Update,
    Variable,
    WaitFor,
    While,
)

_UNSUPPORTED = frozenset(
    """MERGE BACKUP RESTORE KILL DBCC BULK CHECKPOINT RECONFIGURE SHUTDOWN OPEN FETCH CLOSE DEALLOCATE GOTO SAVE READTEXT WRITETEXT UPDATETEXT REVERT
    SETUSER ENABLE DISABLE ADD RECEIVE SEND COPY RENAME""".split()
)
_COMPOUND = ("+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=")


def batch(cursor: Cursor) -> tuple[Statement, ...]:
    """Every statement of a batch."""
    found: list[Statement] = []
    while cursor.accept_operator(";"):
        pass
    while not cursor.at_end:
        found.append(_call_by_name(cursor) if not found and _begins_call(cursor) else statement(cursor))
        while cursor.accept_operator(";"):
            pass
    return tuple(found)


def statement(cursor: Cursor) -> Statement:
    """One statement, with its semicolon where one is written."""
    cursor.enter()
    found = _statement(cursor)
    cursor.leave()
    cursor.accept_operator(";")
    return found


def _statement(cursor: Cursor) -> Statement:
    line = cursor.line
    match cursor.token.upper:
        case "SELECT" | "WITH":
            return _with(cursor, line)
        case "INSERT":
            return _insert(cursor, (), line)
        case "UPDATE":
            return _update(cursor, (), line)
        case "DELETE":
            return _delete(cursor, (), line)
        case "TRUNCATE":
            cursor.take()
            cursor.expect("TABLE")
            return Truncate(cursor.name(), line=line)
        case "CREATE":
            return definitions.create(cursor)
        case "ALTER":
            return definitions.alter(cursor)
        case "DROP":
            return definitions.drop(cursor)
        case "GRANT" | "DENY" | "REVOKE":
            return definitions.permission(cursor)
        case "DECLARE":
            return _declare(cursor, line)
        case "SET":
            return _set(cursor, line)
        case "EXEC" | "EXECUTE":
            cursor.take()
            return _execute(cursor, line)
        case "USE":
            text = "USE statement is not supported to switch between databases. Use a new connection to connect to a different database."
            raise SqlError(40508, text, 16, 1, line)
    if cursor.at_operator("("):
        return SelectStatement(queries.query(cursor), line=line)
    return _control(cursor, line)


def _control(cursor: Cursor, line: int) -> Statement:
    word = cursor.token.upper
    match word:
        case "IF":
            cursor.take()
            condition = expression(cursor)
            then = statement(cursor)
            return If(condition, then, statement(cursor) if cursor.accept("ELSE") else None, line=line)
        case "WHILE":
            cursor.take()
            condition = expression(cursor)
            return While(condition, statement(cursor), line=line)
        case "BEGIN":
            return _begin(cursor, line)
        case "BREAK" | "CONTINUE":
            return LoopExit(cursor.take().upper, line=line)
        case "RETURN":
            cursor.take()
            return Return(expression(cursor) if _at_value(cursor) else None, line=line)
        case "PRINT":
            cursor.take()
            return Print(expression(cursor), line=line)
        case "THROW":
            cursor.take()
            return Throw(_arguments(cursor) if _at_value(cursor) else (), line=line)
        case "RAISERROR":
            return _raiserror(cursor, line)
        case "COMMIT" | "ROLLBACK":
            return _finish_transaction(cursor, line)
        case "WAITFOR":
            cursor.take()
            if not cursor.accept("DELAY"):
                raise errors.unsupported_statement(f"WAITFOR {cursor.token.upper}".strip(), line)
            return WaitFor(expression(cursor), line=line)
    if word in _UNSUPPORTED:
        raise errors.unsupported_statement(word, line)
    raise cursor.unexpected()


def _at_value(cursor: Cursor) -> bool:
    token = cursor.token
    return token.kind in (INTEGER, STRING, NATIONAL, VARIABLE) or (token.kind == OPERATOR and token.text in ("-", "("))


def _arguments(cursor: Cursor) -> tuple[Expression, ...]:
    values = [expression(cursor)]
    while cursor.accept_operator(","):
        values.append(expression(cursor))
    return tuple(values)


def _begin(cursor: Cursor, line: int) -> Statement:
    cursor.expect("BEGIN")
    if cursor.accept("TRAN", "TRANSACTION"):
        _transaction_name(cursor)
        if cursor.at("WITH"):
            raise errors.unsupported_option("WITH MARK").at_line(line)
        return Transaction("BEGIN", line=line)
    if cursor.accept("DISTRIBUTED"):
        raise errors.unsupported_statement("BEGIN DISTRIBUTED TRANSACTION", line)
    if cursor.at("TRY"):
        cursor.take()
        attempt = _statements_until_end(cursor)
        cursor.expect("TRY")
        cursor.expect("BEGIN")
        cursor.expect("CATCH")
        handler = _statements_until_end(cursor)
        cursor.expect("CATCH")
        return TryCatch(attempt, handler, line=line)
    inner = _statements_until_end(cursor)
    if not inner:
        raise errors.keyword("END", line)
    return Block(inner, line=line)


def _statements_until_end(cursor: Cursor) -> tuple[Statement, ...]:
    found: list[Statement] = []
    while True:
        while cursor.accept_operator(";"):
            pass
        if cursor.accept("END"):
            return tuple(found)
        if cursor.at_end:
            raise cursor.unexpected()
        found.append(statement(cursor))


def _transaction_name(cursor: Cursor) -> None:
    if cursor.token.kind == VARIABLE or (cursor.at_identifier and not cursor.at("THROW")):
        cursor.take()


def _finish_transaction(cursor: Cursor, line: int) -> Statement:
    verb = cursor.expect("COMMIT", "ROLLBACK")
    if cursor.accept("TRAN", "TRANSACTION"):
        _transaction_name(cursor)
    else:
        cursor.accept("WORK")
    return Transaction(verb, line=line)


def _raiserror(cursor: Cursor, line: int) -> Statement:
    cursor.expect("RAISERROR")
    cursor.expect_operator("(")
    arguments = _arguments(cursor)
    cursor.expect_operator(")")
    if cursor.accept("WITH"):
        option = cursor.take().upper
        if option not in ("NOWAIT", "SETERROR"):
            raise errors.unsupported_option(f"WITH {option}").at_line(line)
    return Raiserror(arguments, line=line)


def _with(cursor: Cursor, line: int) -> Statement:
    commons = queries.common_tables(cursor)
    match cursor.token.upper:
        case "INSERT":
            return _insert(cursor, commons, line)
        case "UPDATE":
            return _update(cursor, commons, line)
        case "DELETE":
            return _delete(cursor, commons, line)
        case "MERGE":
            raise errors.unsupported_statement("MERGE", line)
    return SelectStatement(queries.finish(cursor, commons), line=line)


def _output(cursor: Cursor) -> tuple[SelectItem, ...]:
    if not cursor.accept("OUTPUT"):
        return ()
    items = queries.select_items(cursor)
    if cursor.at("INTO"):
        raise errors.unsupported_option("OUTPUT INTO").at_line(cursor.line)
    return items


def _insert(cursor: Cursor, commons: tuple[CommonTable, ...], line: int) -> Statement:
    cursor.expect("INSERT")
    if cursor.accept("BULK"):
        return _insert_bulk(cursor, line)
    if cursor.at("TOP"):
        raise errors.unsupported_option("INSERT TOP").at_line(line)
    cursor.accept("INTO")
    table = TableName(cursor.name(), None, queries.table_hints(cursor))
    columns: list[str] = []
    if cursor.at_operator("(") and cursor.ahead().upper not in ("SELECT", "WITH"):
        cursor.take()
        columns.append(cursor.identifier())
        while cursor.accept_operator(","):
            columns.append(cursor.identifier())
        cursor.expect_operator(")")
    output = _output(cursor)
    if cursor.accept_words("DEFAULT", "VALUES"):
        return Insert(table, (), (), None, True, output, commons, line=line)
    if cursor.accept("VALUES"):
        rows = queries.value_rows(cursor)
        if len(rows) > 1000:
            text = "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row values."
            raise SqlError(10738, text, 15, 1, line)
        queries.query_hints(cursor)
        return Insert(table, tuple(columns), rows, None, False, output, commons, line=line)
    if cursor.at("EXEC", "EXECUTE"):
        raise errors.unsupported_statement("INSERT ... EXEC", line)
    return Insert(table, tuple(columns), (), queries.query(cursor), False, output, commons, line=line)


def _insert_bulk(cursor: Cursor, line: int) -> Statement:
    table = cursor.name()
    cursor.expect_operator("(")
    columns: list[tuple[str, TypeName]] = []
    while True:
        name = cursor.identifier()
        columns.append((name, type_name(cursor)))
        # A client may repeat collation and nullability here; the table's own rule.
        while not cursor.at_operator(",", ")") and not cursor.at_end:
            cursor.take()
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")")
    if cursor.accept("WITH"):
        cursor.expect_operator("(")
        while not cursor.accept_operator(")"):
            token = cursor.take()
            if token.kind == END:
                raise cursor.unexpected()
            if token.upper in ("FIRE_TRIGGERS", "ORDER"):
                raise errors.unsupported_option(token.upper).at_line(line)
    return InsertBulk(table, tuple(columns), line=line)


def _update(cursor: Cursor, commons: tuple[CommonTable, ...], line: int) -> Statement:
    cursor.expect("UPDATE")
    if cursor.at("STATISTICS"):
        raise errors.unsupported_statement("UPDATE STATISTICS", line)
    top = queries.top_count(cursor) if cursor.accept("TOP") else None
    target = TableName(cursor.name(), None, queries.table_hints(cursor))
    cursor.expect("SET")
    assignments = [_assignment(cursor)]
    while cursor.accept_operator(","):
        assignments.append(_assignment(cursor))
    output = _output(cursor)
    source = queries.sources(cursor) if cursor.accept("FROM") else None
    where = _where(cursor)
    queries.query_hints(cursor)
    return Update(target, tuple(assignments), output, source, where, top, commons, line=line)


def _where(cursor: Cursor) -> Expression | None:
    if not cursor.accept("WHERE"):
        return None
    if cursor.at_words("CURRENT", "OF"):
        raise errors.unsupported_option("WHERE CURRENT OF").at_line(cursor.line)
    return expression(cursor)


def _assignment(cursor: Cursor) -> Assignment:
    variable = None
    if cursor.token.kind == VARIABLE:
        variable = cursor.expect_variable()
        cursor.expect_operator("=")
        if not (cursor.at_identifier and cursor.ahead().text == "="):
            return Assignment(None, expression(cursor), variable)
    parts = cursor.name()
    sign = cursor.expect_operator("=", *_COMPOUND)
    if cursor.accept("DEFAULT"):
        return Assignment(parts[-1], None, variable)
    value = expression(cursor)
    return Assignment(parts[-1], value if sign == "=" else Binary(sign[0], Column((parts[-1],)), value), variable)


def _delete(cursor: Cursor, commons: tuple[CommonTable, ...], line: int) -> Statement:
    cursor.expect("DELETE")
    top = queries.top_count(cursor) if cursor.accept("TOP") else None
    cursor.accept("FROM")
    target = TableName(cursor.name(), None, queries.table_hints(cursor))
    output = _output(cursor)
    source = queries.sources(cursor) if cursor.accept("FROM") else None
    where = _where(cursor)
    queries.query_hints(cursor)
    return Delete(target, output, source, where, top, commons, line=line)


def _declare(cursor: Cursor, line: int) -> Statement:
    cursor.expect("DECLARE")
    variables: list[tuple[str, TypeName, Expression | None]] = []
    while True:
        if cursor.at_identifier and cursor.ahead().upper == "CURSOR":
            raise errors.unsupported_statement("DECLARE CURSOR", line)
        name = cursor.expect_variable()
        cursor.accept("AS")
        if cursor.at("TABLE"):
            raise errors.unsupported_feature(f"table variable {name}").at_line(line)
        kind = type_name(cursor)
        variables.append((name, kind, expression(cursor) if cursor.accept_operator("=") else None))
        if not cursor.accept_operator(","):
            return Declare(tuple(variables), line=line)


def _set(cursor: Cursor, line: int) -> Statement:
    cursor.expect("SET")
    if cursor.token.kind == VARIABLE:
        name = cursor.expect_variable()
        sign = cursor.expect_operator("=", *_COMPOUND)
        value = expression(cursor)
        return SetVariable(name, value if sign == "=" else Binary(sign[0], Variable(name), value), line=line)
    if cursor.accept_words("TRANSACTION", "ISOLATION", "LEVEL"):
        words = [cursor.take().upper]
        if words[0] in ("READ", "REPEATABLE"):
            words.append(cursor.take().upper)
        return SetOption("TRANSACTION ISOLATION LEVEL", " ".join(words), line=line)
    option = cursor.take()
    if option.upper == "IDENTITY_INSERT":
        table = cursor.name()
        return SetOption("IDENTITY_INSERT", cursor.expect("ON", "OFF"), table, line=line)
    if not option.upper:
        raise errors.syntax(option.text, option.line)
    names = [option.upper]
    if option.upper == "STATISTICS":
        names.append(cursor.take().upper)
    while cursor.accept_operator(","):
        names.append(cursor.take().upper)
    value_text = "-" if cursor.accept_operator("-") else ""
    value_token = cursor.take()
    if value_token.kind == END:
        raise cursor.unexpected()
    value_text += value_token.text.upper()
    return SetOption(",".join(names) if option.upper != "STATISTICS" else " ".join(names), value_text, line=line)


def _begins_call(cursor: Cursor) -> bool:
    return cursor.at_identifier and not cursor.at("THROW") and cursor.token.upper not in _UNSUPPORTED


def _call_by_name(cursor: Cursor) -> Statement:
    """The first statement of a batch may call a procedure without EXEC."""
    line = cursor.line
    call = _execute(cursor, line)
    if not cursor.at_end and not cursor.at_operator(";"):
        raise cursor.unexpected()
    return call


def _execute(cursor: Cursor, line: int) -> Statement:
    if cursor.accept_operator("("):
        text = expression(cursor)
        cursor.expect_operator(")")
        if cursor.at("AT", "AS"):
            raise errors.unsupported_option(f"EXEC ... {cursor.token.upper}").at_line(line)
        return Execute(None, (), text, line=line)
    result = None
    if cursor.token.kind == VARIABLE and cursor.ahead().text == "=":
        result = cursor.expect_variable()
        cursor.take()
    if cursor.token.kind == VARIABLE:
        raise errors.unsupported_feature("procedure name in a variable").at_line(line)
    name = ".".join(part for part in cursor.name() if part)
    arguments: list[Argument] = []
    while _at_argument(cursor):
        arguments.append(_argument(cursor))
        if not cursor.accept_operator(","):
            break
    if cursor.accept("WITH"):
        cursor.expect("RECOMPILE")
    return Execute(name, tuple(arguments), None, result, line=line)


def _at_argument(cursor: Cursor) -> bool:
    token = cursor.token
    return token.kind in ("string", "national", "integer", "decimal", "float", "hex", "variable") or (
        token.upper in ("NULL", "DEFAULT")
        or cursor.at_operator("-")
        or (cursor.at_identifier and cursor.ahead().text in (",", ";", ""))
    )


def _argument(cursor: Cursor) -> Argument:
    name = None
    if cursor.token.kind == VARIABLE and cursor.ahead().text == "=":
        name = cursor.expect_variable()
        cursor.take()
    if cursor.accept("DEFAULT"):
        return Argument(name, None)
    if cursor.at_identifier:
        # EXEC takes a bare word as a string.
        return Argument(name, Literal("national", cursor.identifier()))
    value = expression(cursor)
    return Argument(name, value, cursor.accept("OUTPUT", "OUT"))
