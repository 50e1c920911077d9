"""CREATE, ALTER, DROP, GRANT, DENY and REVOKE."""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.lexer import NATIONAL, STRING
from lpmops.sandbox.sql.parser.cursor import Cursor
from lpmops.sandbox.sql.parser.expressions import expression, type_name
from lpmops.sandbox.sql.parser.queries import query
from lpmops.sandbox.sql.syntax import (
    AlterRole,
    AlterTable,
    ChangePermission,
    ColumnDefinition,
    Constraint,
    CreateIndex,
    CreatePrincipal,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    DropIndex,
    KeyColumn,
    Statement,
)

_INDEX_OPTIONS = frozenset({"PAD_INDEX", "FILLFACTOR", "SORT_IN_TEMPDB", "STATISTICS_NORECOMPUTE", "STATISTICS_INCREMENTAL",
    "DROP_EXISTING", "ONLINE",
                            "RESUMABLE", "MAX_DURATION", "ALLOW_ROW_LOCKS", "ALLOW_PAGE_LOCKS", "OPTIMIZE_FOR_SEQUENTIAL_KEY", "MAXDOP",
                            "DATA_COMPRESSION", "XML_COMPRESSION"})  # fmt: skip
# Of those, the ones whose effect is speed or space alone and may be passed over.
_HARMLESS_INDEX_OPTIONS = _INDEX_OPTIONS - {"DROP_EXISTING", "RESUMABLE", "MAX_DURATION", "XML_COMPRESSION"}


def create(cursor: Cursor) -> Statement:
    """A statement that begins with CREATE."""
    line, start = cursor.line, cursor.position
    cursor.expect("CREATE")
    if cursor.accept_words("OR", "ALTER"):
        if not cursor.at("VIEW"):
            raise errors.unsupported_statement(f"CREATE OR ALTER {cursor.token.upper}", line)
        return _view(cursor, line, start, create=True, alter=True)
    match cursor.token.upper:
        case "TABLE":
            return _table(cursor, line)
        case "VIEW":
            return _view(cursor, line, start, create=True, alter=False)
        case "SCHEMA":
            return _schema(cursor, line)
        case "USER":
            return _user(cursor, line)
        case "ROLE":
            cursor.take()
            name = cursor.identifier()
            if cursor.accept("AUTHORIZATION"):
                cursor.identifier()
            return CreatePrincipal("ROLE", name, line=line)
        case "UNIQUE" | "CLUSTERED" | "NONCLUSTERED" | "INDEX":
            return _index(cursor, line)
    raise errors.unsupported_statement(f"CREATE {cursor.token.text.upper()}".strip(), line)


def alter(cursor: Cursor) -> Statement:
    """A statement that begins with ALTER."""
    line, start = cursor.line, cursor.position
    cursor.expect("ALTER")
    match cursor.token.upper:
        case "TABLE":
            return _alter_table(cursor, line)
        case "VIEW":
            return _view(cursor, line, start, create=False, alter=True)
        case "ROLE":
            return _alter_role(cursor, line)
    raise errors.unsupported_statement(f"ALTER {cursor.token.text.upper()}".strip(), line)


def drop(cursor: Cursor) -> Statement:
    """A statement that begins with DROP."""
    line = cursor.line
    cursor.expect("DROP")
    kind = cursor.token.upper
    if kind == "INDEX":
        cursor.take()
        if_exists = cursor.accept_words("IF", "EXISTS")
        name = cursor.identifier()
        cursor.expect("ON")
        return DropIndex(name, cursor.name(), if_exists, line=line)
    if kind not in ("TABLE", "VIEW", "SCHEMA", "USER", "ROLE"):
        raise errors.unsupported_statement(f"DROP {cursor.token.text.upper()}".strip(), line)
    cursor.take()
    if_exists = cursor.accept_words("IF", "EXISTS")
    names = [cursor.name()]
    while kind in ("TABLE", "VIEW") and cursor.accept_operator(","):
        names.append(cursor.name())
    return Drop(kind, tuple(names), if_exists, line=line)


def _schema(cursor: Cursor, line: int) -> Statement:
    cursor.expect("SCHEMA")
    if cursor.accept("AUTHORIZATION"):
        owner = cursor.identifier()
        return CreateSchema(owner, owner, line=line)
    name = cursor.identifier()
    owner_name = cursor.identifier() if cursor.accept("AUTHORIZATION") else None
    if cursor.at("CREATE", "GRANT", "REVOKE", "DENY"):
        raise errors.unsupported_feature("schema element of CREATE SCHEMA").at_line(cursor.line)
    return CreateSchema(name, owner_name, line=line)


def _user(cursor: Cursor, line: int) -> Statement:
    cursor.expect("USER")
    name = cursor.identifier()
    kind, schema, password = "", None, None
    if cursor.at("FROM", "FOR"):
        word = cursor.take().upper
        if not cursor.accept_words("EXTERNAL", "PROVIDER"):
            raise errors.unsupported_option(f"{word} {cursor.token.upper}").at_line(cursor.line)
        kind = "EXTERNAL"
    if cursor.accept("WITH"):
        while True:
            option = cursor.take().upper
            cursor.expect_operator("=")
            if option == "PASSWORD" and cursor.token.kind in (STRING, NATIONAL):
                password, kind = cursor.take().text, "SQL"
            elif option == "DEFAULT_SCHEMA":
                schema = cursor.identifier()
            else:
                raise errors.unsupported_option(f"WITH {option}").at_line(cursor.line)
            if not cursor.accept_operator(","):
                break
    if cursor.at("WITHOUT") or not kind:
        raise errors.unsupported_option(
            "CREATE USER ... WITHOUT LOGIN" if cursor.at("WITHOUT") else "CREATE USER ... FOR LOGIN"
        ).at_line(line)
    return CreatePrincipal(kind, name, schema, password, line=line)


def _alter_role(cursor: Cursor, line: int) -> Statement:
    cursor.expect("ROLE")
    role = cursor.identifier()
    verb = cursor.expect("ADD", "DROP", "WITH")
    if verb == "WITH":
        raise errors.unsupported_statement("ALTER ROLE ... WITH NAME", line)
    if not cursor.accept("MEMBER"):
        raise cursor.unexpected()
    return AlterRole(role, cursor.identifier(), verb == "ADD", line=line)


def _view(cursor: Cursor, line: int, start: int, *, create: bool, alter: bool) -> Statement:
    cursor.expect("VIEW")
    name = cursor.name()
    columns: list[str] = []
    if cursor.accept_operator("("):
        columns.append(cursor.identifier())
        while cursor.accept_operator(","):
            columns.append(cursor.identifier())
        cursor.expect_operator(")")
    if cursor.at("WITH"):
        # SCHEMABINDING would forbid changes to the tables beneath; refusing it is better than not holding to it.
        raise errors.unsupported_option(f"WITH {cursor.ahead().upper}").at_line(cursor.line)
    cursor.expect("AS")
    body = query(cursor)
    if cursor.at("WITH"):
        raise errors.unsupported_option("WITH CHECK OPTION").at_line(cursor.line)
    text = cursor.text[start : cursor.read_to]
    cursor.accept_operator(";")
    if not cursor.at_end or (start and cursor.text[:start].strip() and not _only_comments(cursor, start)):
        verb = "CREATE VIEW" if create else "ALTER VIEW"
        raise SqlError(111, f"'{verb}' must be the first statement in a query batch.", 15, 1, line)
    return CreateView(name, tuple(columns), body, text, create, alter, line=line)


def _only_comments(cursor: Cursor, start: int) -> bool:
    return Cursor(cursor.text[:start]).at_end


def _table(cursor: Cursor, line: int) -> Statement:
    cursor.expect("TABLE")
    name = cursor.name()
    cursor.expect_operator("(")
    columns: list[ColumnDefinition] = []
    constraints: list[Constraint] = []
    indexes: list[CreateIndex] = []
    while not cursor.at_operator(")"):
        if cursor.at("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"):
            constraints.append(constraint(cursor))
        elif cursor.at("INDEX"):
            indexes.append(_inline_index(cursor, name))
        elif cursor.at("PERIOD"):
            raise errors.unsupported_option("PERIOD FOR SYSTEM_TIME").at_line(cursor.line)
        else:
            columns.append(column(cursor))
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")")
    if cursor.at("ON") or cursor.at("TEXTIMAGE_ON"):
        raise errors.unsupported_option("filegroup").at_line(cursor.line)
    if cursor.at("WITH"):
        cursor.take()
        _options(cursor, frozenset({"DATA_COMPRESSION"}))
    if cursor.at("AS"):
        raise errors.unsupported_statement("CREATE TABLE AS", line)
    return CreateTable(name, tuple(columns), tuple(constraints), tuple(indexes), line=line)


def _inline_index(cursor: Cursor, table: tuple[str, ...]) -> CreateIndex:
    cursor.expect("INDEX")
    name = cursor.identifier()
    unique = cursor.accept("UNIQUE")
    clustered = cursor.accept("CLUSTERED")
    if not clustered:
        cursor.accept("NONCLUSTERED")
    if cursor.at("COLUMNSTORE"):
        raise errors.unsupported_feature("columnstore index").at_line(cursor.line)
    columns = key_columns(cursor)
    ignore = _options(cursor, _HARMLESS_INDEX_OPTIONS) if cursor.accept("WITH") else False
    return CreateIndex(name, table, columns, (), unique, ignore, clustered)


def column(cursor: Cursor) -> ColumnDefinition:
    """A column with its constraints."""
    name = cursor.identifier()
    if cursor.at("AS"):
        raise errors.unsupported_feature("computed column").at_line(cursor.line)
    if cursor.at("rowversion".upper(), "TIMESTAMP"):
        raise errors.unsupported_feature(cursor.token.text.lower()).at_line(cursor.line)
    found = ColumnDefinition(name, type_name(cursor))
    constraints: list[Constraint] = []
    while True:
        if cursor.accept_words("NOT", "NULL"):
            found = replace(found, nullable=False)
        elif cursor.accept("NULL"):
            found = replace(found, nullable=True)
        elif cursor.accept("COLLATE"):
            found = replace(found, collation=cursor.identifier())
        elif cursor.accept("IDENTITY"):
            found = replace(found, identity=_identity(cursor))
        elif cursor.at("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "DEFAULT", "REFERENCES", "FOREIGN"):
            constraints.append(constraint(cursor, name))
        elif cursor.at("SPARSE", "MASKED", "GENERATED", "ROWGUIDCOL", "ENCRYPTED", "HIDDEN", "PERSISTED", "FILESTREAM"):
            raise errors.unsupported_option(cursor.token.upper).at_line(cursor.line)
        else:
            return replace(found, constraints=tuple(constraints))


def _identity(cursor: Cursor) -> tuple[int, int]:
    if not cursor.accept_operator("("):
        return 1, 1
    seed = cursor.expect_integer()
    cursor.expect_operator(",")
    increment = cursor.expect_integer()
    cursor.expect_operator(")")
    if increment != 1:
        raise errors.unsupported_feature(f"IDENTITY increment {increment}").at_line(cursor.line)
    return seed, increment


def constraint(cursor: Cursor, column_name: str | None = None) -> Constraint:
    """A constraint of a column (its name given) or of a table."""
    name = cursor.identifier() if cursor.accept("CONSTRAINT") else None
    if cursor.at("FOREIGN", "REFERENCES"):
        raise errors.unsupported_feature("FOREIGN KEY").at_line(cursor.line)
    word = cursor.expect("PRIMARY", "UNIQUE", "CHECK", "DEFAULT")
    if word in ("PRIMARY", "UNIQUE"):
        return _key(cursor, name, word, column_name)
    start = cursor.position
    if word == "CHECK":
        if cursor.at("NOT"):
            raise errors.unsupported_option("NOT FOR REPLICATION").at_line(cursor.line)
        cursor.expect_operator("(")
        condition = expression(cursor)
        cursor.expect_operator(")")
        return Constraint("CHECK", name, (), condition, cursor.text[start : cursor.read_to], column_name)
    value = expression(cursor)
    text = cursor.text[start : cursor.read_to]
    if column_name is None:
        cursor.expect("FOR")
        column_name = cursor.identifier()
    return Constraint("DEFAULT", name, (), value, text, column_name, cursor.accept_words("WITH", "VALUES"))


def _key(cursor: Cursor, name: str | None, word: str, column_name: str | None) -> Constraint:
    kind = "UNIQUE"
    if word == "PRIMARY":
        cursor.expect("KEY")
        kind = "PRIMARY KEY"
    clustered: bool | None = True if cursor.accept("CLUSTERED") else None
    if clustered is None and cursor.accept("NONCLUSTERED"):
        clustered = False
    if cursor.at("HASH"):
        raise errors.unsupported_option("HASH").at_line(cursor.line)
    columns = key_columns(cursor) if column_name is None or cursor.at_operator("(") else (KeyColumn(column_name),)
    ignore = _options(cursor, _HARMLESS_INDEX_OPTIONS) if cursor.accept("WITH") else False
    return Constraint(kind, name, columns, column=column_name, ignore_dup_key=ignore, clustered=clustered)


def key_columns(cursor: Cursor) -> tuple[KeyColumn, ...]:
    """(a, b DESC)."""
    cursor.expect_operator("(")
    columns: list[KeyColumn] = []
    while True:
        name = cursor.identifier()
        descending = cursor.accept("DESC")
        if not descending:
            cursor.accept("ASC")
        columns.append(KeyColumn(name, descending))
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")")
    return tuple(columns)


def _options(cursor: Cursor, passed_over: frozenset[str]) -> bool:
    """(NAME = VALUE, ...) after WITH; whether IGNORE_DUP_KEY is on."""
    cursor.expect_operator("(")
    ignore = False
    while True:
        option = cursor.take()
        cursor.expect_operator("=")
        value = cursor.take()
        if option.upper == "IGNORE_DUP_KEY":
            if value.upper not in ("ON", "OFF"):
                raise errors.syntax(value.text, value.line)
            ignore = value.upper == "ON"
        elif option.upper not in passed_over or cursor.at_operator("("):
            raise errors.unsupported_option(option.text.upper()).at_line(option.line)
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")")
    return ignore


def _index(cursor: Cursor, line: int) -> Statement:
    unique = cursor.accept("UNIQUE")
    clustered = cursor.accept("CLUSTERED")
    if not clustered:
        cursor.accept("NONCLUSTERED")
    if cursor.at("COLUMNSTORE"):
        raise errors.unsupported_feature("columnstore index").at_line(line)
    cursor.expect("INDEX")
    name = cursor.identifier()
    cursor.expect("ON")
    table = cursor.name()
    columns = key_columns(cursor)
    included: list[str] = []
    if cursor.accept("INCLUDE"):
        cursor.expect_operator("(")
        included.append(cursor.identifier())
        while cursor.accept_operator(","):
            included.append(cursor.identifier())
        cursor.expect_operator(")")
    if cursor.at("WHERE"):
        raise errors.unsupported_feature("filtered index").at_line(cursor.line)
    ignore = _options(cursor, _HARMLESS_INDEX_OPTIONS) if cursor.accept("WITH") else False
    if cursor.at("ON"):
        raise errors.unsupported_option("filegroup").at_line(cursor.line)
    if ignore and not unique:
        raise SqlError(1916, "CREATE INDEX options nonunique and ignore_dup_key are mutually exclusive.", 16, 4, line)
    return CreateIndex(name, table, columns, tuple(included), unique, ignore, clustered, line=line)


def _alter_table(cursor: Cursor, line: int) -> Statement:
    cursor.expect("TABLE")
    table = cursor.name()
    if cursor.accept_words("ALTER", "COLUMN"):
        return AlterTable(table, alter_column=column(cursor), line=line)
    if cursor.accept("WITH"):
        checked = cursor.expect("CHECK", "NOCHECK")
        if checked == "NOCHECK":
            raise errors.unsupported_option("WITH NOCHECK").at_line(line)
        if not cursor.at("ADD"):
            raise errors.unsupported_option("CHECK CONSTRAINT").at_line(line)
    if cursor.accept("ADD"):
        return _alter_add(cursor, table, line)
    if cursor.accept("DROP"):
        return _alter_drop(cursor, table, line)
    word = cursor.token.text.upper()
    raise errors.unsupported_statement(f"ALTER TABLE ... {word}".strip(), line)


def _alter_add(cursor: Cursor, table: tuple[str, ...], line: int) -> Statement:
    columns: list[ColumnDefinition] = []
    constraints: list[Constraint] = []
    while True:
        if cursor.at("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "DEFAULT", "FOREIGN"):
            constraints.append(constraint(cursor))
        else:
            columns.append(column(cursor))
        if not cursor.accept_operator(","):
            return AlterTable(table, tuple(columns), tuple(constraints), line=line)


def _alter_drop(cursor: Cursor, table: tuple[str, ...], line: int) -> Statement:
    kind = cursor.take().upper if cursor.at("COLUMN", "CONSTRAINT") else "CONSTRAINT"
    if_exists = cursor.accept_words("IF", "EXISTS")
    names = [cursor.identifier()]
    while cursor.accept_operator(","):
        names.append(cursor.identifier())
    if kind == "COLUMN":
        return AlterTable(table, drop_columns=tuple(names), if_exists=if_exists, line=line)
    return AlterTable(table, drop_constraints=tuple(names), if_exists=if_exists, line=line)


def permission(cursor: Cursor) -> Statement:
    """GRANT, DENY or REVOKE."""
    line = cursor.line
    verb = cursor.expect("GRANT", "DENY", "REVOKE")
    if verb == "REVOKE" and cursor.accept("GRANT"):
        raise errors.unsupported_option("GRANT OPTION FOR").at_line(line)
    permissions = [_permission_name(cursor)]
    while cursor.accept_operator(","):
        permissions.append(_permission_name(cursor))
    scope: str = "DATABASE"
    securable: tuple[str, ...] = ()
    if cursor.accept("ON"):
        scope, securable = _securable(cursor)
    cursor.expect("TO") if verb != "REVOKE" else cursor.expect("TO", "FROM")
    principals = [_grantee(cursor)]
    while cursor.accept_operator(","):
        principals.append(_grantee(cursor))
    with_grant = cursor.accept_words("WITH", "GRANT", "OPTION")
    if cursor.accept("CASCADE") or cursor.accept("AS"):
        raise errors.unsupported_option("CASCADE or AS").at_line(line)
    return ChangePermission(verb, tuple(permissions), scope, securable, tuple(principals), with_grant, line=line)


def _grantee(cursor: Cursor) -> str:
    return "public" if cursor.accept("PUBLIC") else cursor.identifier()


def _permission_name(cursor: Cursor) -> str:
    words: list[str] = []
    while cursor.token.upper and not cursor.at("ON", "TO", "FROM"):
        words.append(cursor.take().upper)
    if not words:
        raise cursor.unexpected()
    if cursor.at_operator("("):
        raise errors.unsupported_feature("column permission").at_line(cursor.line)
    name = " ".join(words)
    return {"EXEC": "EXECUTE", "ALL PRIVILEGES": "ALL"}.get(name, name)


def _securable(cursor: Cursor) -> tuple[str, tuple[str, ...]]:
    if cursor.ahead().text == "::":
        kind = cursor.take().upper
        cursor.take()
        if kind not in ("OBJECT", "SCHEMA", "DATABASE"):
            raise errors.unsupported_feature(f"{kind}::").at_line(cursor.line)
        return kind, cursor.name()
    return "OBJECT", cursor.name()
