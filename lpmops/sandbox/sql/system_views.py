"""The catalog views: sys.* and INFORMATION_SCHEMA.*, made from the catalog when a query asks.

Each view lists its columns (names and types of Microsoft's reference; columns this server has nothing to say on are left out, so asking for them is
error 207, not a lie) and a function from a Viewer to rows. Rows are filtered by metadata visibility: a principal sees what it has any permission on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from lpmops.sandbox.sql import permissions
from lpmops.sandbox.sql.catalog import Catalog, Column, Table, View
from lpmops.sandbox.sql.types import (
    BIGINT,
    BIT,
    DATETIME,
    INT,
    INTEGER_RANGE,
    SMALLINT,
    SYSNAME,
    SYSTEM_TYPES,
    TINYINT,
    SqlType,
    nvarchar,
    varbinary,
    varchar,
)


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """A row of sys.databases."""

    database_id: int
    name: str
    created: str
    state: str
    collation: str


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A row of sys.dm_exec_sessions and, while a request runs, of sys.dm_exec_requests."""

    session_id: int
    login: str
    application: str
    host: str
    database_id: int
    logged_in: str
    request_started: str | None
    waiting: bool
    command: str


class Viewer(Protocol):
    """What a view is made from."""

    @property
    def catalog(self) -> Catalog:
        """The catalog as this session sees it."""

    @property
    def principal(self) -> str:
        """The database user who asks."""

    def row_count(self, table: Table) -> int:
        """Rows of a table."""

    def databases(self) -> Iterable[DatabaseEntry]:
        """The databases the session may know of."""

    def sessions(self) -> Iterable[SessionEntry]:
        """The sessions of this database."""

    def pages(self) -> int:
        """The 8 KB pages that the database's data file has."""


Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SystemView:
    """One catalog view; `right` is a database permission without which it cannot be read."""

    key: str
    columns: tuple[tuple[str, SqlType], ...]
    rows: Callable[[Viewer], list[Row]]
    right: str = ""


_VIEWS: dict[str, SystemView] = {}


def find(schema: str, name: str) -> SystemView | None:
    """The view of that name."""
    return _VIEWS.get(f"{schema}.{name}".casefold())


def by_key(key: str) -> SystemView:
    """The view that a program's placeholder names."""
    return _VIEWS[key]


def _view(
    key: str, *columns: tuple[str, SqlType], right: str = ""
) -> Callable[[Callable[[Viewer], list[Row]]], Callable[[Viewer], list[Row]]]:
    def register(rows: Callable[[Viewer], list[Row]]) -> Callable[[Viewer], list[Row]]:
        _VIEWS[key] = SystemView(key, columns, rows, right)
        return rows

    return register


_DESCRIPTION = nvarchar(60)
_CODE = SqlType("char", 2, collation="SQL_Latin1_General_CP1_CI_AS")
_OBJECT = (("name", SYSNAME), ("object_id", INT), ("principal_id", INT), ("schema_id", INT), ("parent_object_id", INT), ("type", _CODE),
           ("type_desc", _DESCRIPTION), ("create_date", DATETIME), ("modify_date", DATETIME), ("is_ms_shipped", BIT))  # fmt: skip


def _seen(viewer: Viewer) -> list[Table | View]:
    return [found for found in viewer.catalog.objects if permissions.visible(viewer.catalog, viewer.principal, found)]


def _seen_tables(viewer: Viewer) -> list[Table]:
    return [found for found in _seen(viewer) if isinstance(found, Table)]


def _object(
    viewer: Viewer, number: int, name: str, schema: str, parent: int, code: str, description: str, owner: Table | View
) -> Row:
    schema_id = viewer.catalog.schema_id(schema)
    return (name, number, None, schema_id, parent, code.ljust(2), description, owner.created, owner.modified, 0)


@_view("sys.objects", *_OBJECT)
def _objects(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for found in _seen(viewer):
        code, description = ("U", "USER_TABLE") if isinstance(found, Table) else ("V", "VIEW")
        rows.append(_object(viewer, found.object_id, found.name, found.schema, 0, code, description, found))
        if isinstance(found, Table):
            for index in found.indexes:
                if index.object_id:
                    kind = (
                        ("PK", "PRIMARY_KEY_CONSTRAINT")
                        if index.constraint == "PRIMARY KEY"
                        else ("UQ", "UNIQUE_CONSTRAINT")
                    )
                    rows.append(
                        _object(viewer, index.object_id, index.name, found.schema, found.object_id, *kind, found)
                    )
            for check in found.checks:
                rows.append(
                    _object(
                        viewer,
                        check.object_id,
                        check.name,
                        found.schema,
                        found.object_id,
                        "C",
                        "CHECK_CONSTRAINT",
                        found,
                    )
                )
            for column in found.columns:
                if column.default:
                    rows.append(
                        _object(
                            viewer,
                            column.default.object_id,
                            column.default.name,
                            found.schema,
                            found.object_id,
                            "D",
                            "DEFAULT_CONSTRAINT",
                            found,
                        )
                    )
    return rows


@_view("sys.tables", *_OBJECT, ("temporal_type", TINYINT), ("temporal_type_desc", _DESCRIPTION), ("is_external", BIT))
def _tables(viewer: Viewer) -> list[Row]:
    return [
        (
            *_object(viewer, table.object_id, table.name, table.schema, 0, "U", "USER_TABLE", table),
            0,
            "NON_TEMPORAL_TABLE",
            0,
        )
        for table in _seen_tables(viewer)
    ]


@_view("sys.views", *_OBJECT)
def _views(viewer: Viewer) -> list[Row]:
    return [
        _object(viewer, view.object_id, view.name, view.schema, 0, "V", "VIEW", view)
        for view in _seen(viewer)
        if isinstance(view, View)
    ]


@_view("sys.sql_modules", ("object_id", INT), ("definition", nvarchar()), ("is_schema_bound", BIT))
def _modules(viewer: Viewer) -> list[Row]:
    return [(view.object_id, view.text, 0) for view in _seen(viewer) if isinstance(view, View)]


@_view("sys.schemas", ("name", SYSNAME), ("schema_id", INT), ("principal_id", INT))
def _schemas(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for number, name, owner in viewer.catalog.schemas:
        user = viewer.catalog.user(owner)
        rows.append((name, number, user.principal_id if user else None))
    return rows


def system_type_id(kind: SqlType) -> int:
    """sys.types.system_type_id; sysname counts as the nvarchar it is."""
    return SYSTEM_TYPES[kind.name][0]


def _all_columns(found: Table | View) -> tuple[Column, ...]:
    return found.columns


@_view("sys.columns", ("object_id", INT), ("name", SYSNAME), ("column_id", INT), ("system_type_id", TINYINT), ("user_type_id", INT),
    ("max_length", SMALLINT),
       ("precision", TINYINT), ("scale", TINYINT), ("collation_name", SYSNAME), ("is_nullable", BIT), ("is_ansi_padded", BIT), ("is_rowguidcol", BIT),
       ("is_identity", BIT), ("is_computed", BIT), ("default_object_id", INT))  # fmt: skip
def _columns(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for found in _seen(viewer):
        for column in _all_columns(found):
            kind = column.type
            number = system_type_id(kind)
            precision, scale = kind.shown_precision() if not (kind.is_character or kind.is_binary) else (0, 0)
            rows.append((found.object_id, column.name, column.column_id, number, number, kind.max_length(), precision, scale, kind.collation or None,
                         int(column.nullable), int(kind.is_character or kind.is_binary), 0, int(column.identity_seed is not None), 0,
                         column.default.object_id if column.default else 0))  # fmt: skip
    return rows


@_view(
    "sys.identity_columns",
    ("object_id", INT),
    ("name", SYSNAME),
    ("column_id", INT),
    ("seed_value", BIGINT),
    ("increment_value", BIGINT),
)
def _identity_columns(viewer: Viewer) -> list[Row]:
    return [
        (table.object_id, column.name, column.column_id, column.identity_seed, 1)
        for table in _seen_tables(viewer)
        if (column := table.identity)
    ]


@_view("sys.types", ("name", SYSNAME), ("system_type_id", TINYINT), ("user_type_id", INT), ("schema_id", INT), ("max_length", SMALLINT),
    ("precision", TINYINT),
       ("scale", TINYINT), ("collation_name", SYSNAME), ("is_nullable", BIT), ("is_user_defined", BIT))  # fmt: skip
def _types(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for name, (number, length, precision, scale) in SYSTEM_TYPES.items():
        collation = viewer.catalog.collation if name in ("char", "varchar", "nchar", "nvarchar") else None
        rows.append((name, number, number, 4, length, precision, scale, collation, 1, 0))
    rows.append(("sysname", 231, 256, 4, 256, 0, 0, viewer.catalog.collation, 0, 0))
    return rows


@_view("sys.indexes", ("object_id", INT), ("name", SYSNAME), ("index_id", INT), ("type", TINYINT), ("type_desc", _DESCRIPTION), ("is_unique", BIT),
       ("data_space_id", INT), ("ignore_dup_key", BIT), ("is_primary_key", BIT), ("is_unique_constraint", BIT), ("fill_factor", TINYINT),
       ("is_padded", BIT), ("is_disabled", BIT), ("is_hypothetical", BIT), ("allow_row_locks", BIT), ("allow_page_locks", BIT), ("has_filter", BIT),
       ("filter_definition", nvarchar()))  # fmt: skip
def _indexes(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for table in _seen_tables(viewer):
        if not any(index.clustered for index in table.indexes):
            rows.append((table.object_id, None, 0, 0, "HEAP", 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, None))
        for index in table.indexes:
            kind = (1, "CLUSTERED") if index.clustered else (2, "NONCLUSTERED")
            rows.append((table.object_id, index.name, index.index_id, *kind, int(index.unique), 1, int(index.ignore_dup_key),
                         int(index.constraint == "PRIMARY KEY"), int(index.constraint == "UNIQUE"), 0, 0, 0, 0, 1, 1, 0, None))  # fmt: skip
    return rows


@_view("sys.index_columns", ("object_id", INT), ("index_id", INT), ("index_column_id", INT), ("column_id", INT), ("key_ordinal", TINYINT),
       ("partition_ordinal", TINYINT), ("is_descending_key", BIT), ("is_included_column", BIT))  # fmt: skip
def _index_columns(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for table in _seen_tables(viewer):
        for index in table.indexes:
            for place, (name, descending) in enumerate(index.columns, 1):
                column = table.column(name)
                rows.append(
                    (
                        table.object_id,
                        index.index_id,
                        place,
                        column.column_id if column else 0,
                        place,
                        0,
                        int(descending),
                        0,
                    )
                )
            for place, name in enumerate(index.included, len(index.columns) + 1):
                column = table.column(name)
                rows.append((table.object_id, index.index_id, place, column.column_id if column else 0, 0, 0, 0, 1))
    return rows


@_view(
    "sys.default_constraints", *_OBJECT, ("parent_column_id", INT), ("definition", nvarchar()), ("is_system_named", BIT)
)
def _default_constraints(viewer: Viewer) -> list[Row]:
    return [
        (*_object(viewer, column.default.object_id, column.default.name, table.schema, table.object_id, "D", "DEFAULT_CONSTRAINT", table),
         column.column_id, f"({column.default.text})", int(column.default.system_named))
        for table in _seen_tables(viewer) for column in table.columns if column.default
    ]  # fmt: skip


@_view("sys.check_constraints", *_OBJECT, ("is_disabled", BIT), ("is_not_trusted", BIT), ("parent_column_id", INT), ("definition", nvarchar()),
       ("is_system_named", BIT))  # fmt: skip
def _check_constraints(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for table in _seen_tables(viewer):
        for check in table.checks:
            column = table.column(check.column) if check.column else None
            rows.append((*_object(viewer, check.object_id, check.name, table.schema, table.object_id, "C", "CHECK_CONSTRAINT", table), 0, 0,
                         column.column_id if column else 0, check.text, int(check.system_named)))  # fmt: skip
    return rows


@_view("sys.key_constraints", *_OBJECT, ("unique_index_id", INT), ("is_system_named", BIT))
def _key_constraints(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for table in _seen_tables(viewer):
        for index in table.indexes:
            if index.object_id:
                kind = (
                    ("PK", "PRIMARY_KEY_CONSTRAINT")
                    if index.constraint == "PRIMARY KEY"
                    else ("UQ", "UNIQUE_CONSTRAINT")
                )
                rows.append(
                    (
                        *_object(viewer, index.object_id, index.name, table.schema, table.object_id, *kind, table),
                        index.index_id,
                        int(index.system_named),
                    )
                )
    return rows


_KINDS = {"S": "SQL_USER", "E": "EXTERNAL_USER", "R": "DATABASE_ROLE"}


@_view("sys.database_principals", ("name", SYSNAME), ("principal_id", INT), ("type", SqlType("char", 1, collation="SQL_Latin1_General_CP1_CI_AS")),
       ("type_desc", _DESCRIPTION), ("default_schema_name", SYSNAME), ("create_date", DATETIME), ("modify_date", DATETIME),
           ("owning_principal_id", INT),
       ("sid", varbinary(85)), ("is_fixed_role", BIT), ("authentication_type", INT), ("authentication_type_desc", _DESCRIPTION))  # fmt: skip
def _principals(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    for user in viewer.catalog.users:
        authentication = (
            (4, "EXTERNAL")
            if user.kind == "E"
            else (2, "DATABASE")
            if user.password_hash
            else (1, "INSTANCE")
            if user.name == "dbo"
            else (0, "NONE")
        )
        created = user.created or "2003-04-08 09:10:42.2870000"
        fixed = int(user.principal_id >= 16384 and user.kind == "R")
        rows.append((user.name, user.principal_id, user.kind, _KINDS[user.kind], user.default_schema, created, created,
            1 if user.kind == "R" else None,
                     None, fixed, *authentication))  # fmt: skip
    return rows


@_view("sys.database_role_members", ("role_principal_id", INT), ("member_principal_id", INT))
def _role_members(viewer: Viewer) -> list[Row]:
    ids = {user.name: user.principal_id for user in viewer.catalog.users}
    return [(ids[role], ids[member]) for role, member in viewer.catalog.members if role in ids and member in ids]


@_view("sys.database_permissions", ("class", TINYINT), ("class_desc", _DESCRIPTION), ("major_id", INT), ("minor_id", INT),
    ("grantee_principal_id", INT),
       ("grantor_principal_id", INT), ("type", SqlType("char", 4, collation="SQL_Latin1_General_CP1_CI_AS")), ("permission_name", nvarchar(128)),
       ("state", SqlType("char", 1, collation="SQL_Latin1_General_CP1_CI_AS")), ("state_desc", _DESCRIPTION))  # fmt: skip
def _database_permissions(viewer: Viewer) -> list[Row]:
    catalog = viewer.catalog
    ids = {user.name: user.principal_id for user in catalog.users}
    states = {"G": "GRANT", "W": "GRANT_WITH_GRANT_OPTION", "D": "DENY"}
    classes = {"DATABASE": (0, "DATABASE"), "OBJECT": (1, "OBJECT_OR_COLUMN"), "SCHEMA": (3, "SCHEMA")}
    rows: list[Row] = []
    for held in catalog.permissions:
        major = (
            0
            if held.scope == "DATABASE"
            else int(held.major)
            if held.scope == "OBJECT"
            else catalog.schema_id(held.major)
        )
        rows.append((*classes[held.scope], major, 0, ids.get(held.grantee), ids.get(held.grantor), permissions.CODES[held.permission].ljust(4),
                     held.permission, held.state, states[held.state]))  # fmt: skip
    return rows


def _partitions_of(table: Table) -> list[int]:
    ids = [index.index_id for index in table.indexes]
    return ids if any(index.clustered for index in table.indexes) else [0, *ids]


@_view("sys.dm_db_partition_stats", ("partition_id", BIGINT), ("object_id", INT), ("index_id", INT), ("partition_number", INT), ("row_count", BIGINT),
       right="VIEW DATABASE PERFORMANCE STATE")  # fmt: skip
def _partition_stats(viewer: Viewer) -> list[Row]:
    return [
        (72057594000000000 + table.object_id * 256 + index_id, table.object_id, index_id, 1, viewer.row_count(table))
        for table in _seen_tables(viewer) for index_id in _partitions_of(table)
    ]  # fmt: skip


@_view(
    "sys.partitions",
    ("partition_id", BIGINT),
    ("object_id", INT),
    ("index_id", INT),
    ("partition_number", INT),
    ("rows", BIGINT),
)
def _partitions(viewer: Viewer) -> list[Row]:
    return _partition_stats(viewer)


@_view("sys.databases", ("name", SYSNAME), ("database_id", INT), ("create_date", DATETIME), ("compatibility_level", TINYINT),
    ("collation_name", SYSNAME),
       ("user_access", TINYINT), ("user_access_desc", _DESCRIPTION), ("is_read_only", BIT), ("state", TINYINT), ("state_desc", _DESCRIPTION),
       ("snapshot_isolation_state", TINYINT), ("is_read_committed_snapshot_on", BIT))  # fmt: skip
def _databases(viewer: Viewer) -> list[Row]:
    return [(entry.name, entry.database_id, entry.created, 160, entry.collation, 0, "MULTI_USER", 0, 0 if entry.state == "ONLINE" else 6,
        entry.state, 1, 1)
            for entry in viewer.databases()]  # fmt: skip


@_view("sys.database_files", ("file_id", INT), ("type", TINYINT), ("type_desc", _DESCRIPTION), ("name", SYSNAME), ("state_desc", _DESCRIPTION),
       ("size", INT))  # fmt: skip
def _database_files(viewer: Viewer) -> list[Row]:
    return [(1, 0, "ROWS", "data_0", "ONLINE", viewer.pages())]


@_view("sys.dm_exec_sessions", ("session_id", SMALLINT), ("login_time", DATETIME), ("host_name", nvarchar(128)), ("program_name", nvarchar(128)),
       ("login_name", nvarchar(128)), ("status", nvarchar(30)), ("database_id", SMALLINT), ("is_user_process", BIT))  # fmt: skip
def _sessions(viewer: Viewer) -> list[Row]:
    return [(entry.session_id, entry.logged_in, entry.host, entry.application, entry.login, "running" if entry.request_started else "sleeping",
             entry.database_id, 1) for entry in viewer.sessions()]  # fmt: skip


@_view("sys.dm_exec_requests", ("session_id", SMALLINT), ("request_id", INT), ("start_time", DATETIME), ("status", nvarchar(30)),
    ("command", nvarchar(32)),
       ("database_id", SMALLINT), ("blocking_session_id", SMALLINT), ("wait_type", nvarchar(60)))  # fmt: skip
def _requests(viewer: Viewer) -> list[Row]:
    return [(entry.session_id, 0, entry.request_started, "suspended" if entry.waiting else "running", entry.command, entry.database_id, 0,
             "LCK_M_X" if entry.waiting else None) for entry in viewer.sessions() if entry.request_started]  # fmt: skip


@_view(
    "information_schema.tables",
    ("TABLE_CATALOG", nvarchar(128)),
    ("TABLE_SCHEMA", nvarchar(128)),
    ("TABLE_NAME", SYSNAME),
    ("TABLE_TYPE", varchar(10)),
)
def _information_tables(viewer: Viewer) -> list[Row]:
    name = _database_name(viewer)
    return [
        (name, found.schema, found.name, "BASE TABLE" if isinstance(found, Table) else "VIEW")
        for found in _seen(viewer)
    ]


def _database_name(viewer: Viewer) -> str | None:
    return getattr(viewer, "database_name", None)


@_view("information_schema.columns", ("TABLE_CATALOG", nvarchar(128)), ("TABLE_SCHEMA", nvarchar(128)), ("TABLE_NAME", nvarchar(128)),
    ("COLUMN_NAME", SYSNAME),
       ("ORDINAL_POSITION", INT), ("COLUMN_DEFAULT", nvarchar(4000)), ("IS_NULLABLE", varchar(3)), ("DATA_TYPE", nvarchar(128)),
       ("CHARACTER_MAXIMUM_LENGTH", INT), ("CHARACTER_OCTET_LENGTH", INT), ("NUMERIC_PRECISION", TINYINT), ("NUMERIC_SCALE", INT),
       ("DATETIME_PRECISION", SMALLINT), ("COLLATION_NAME", SYSNAME))  # fmt: skip
def _information_columns(viewer: Viewer) -> list[Row]:
    rows: list[Row] = []
    database = _database_name(viewer)
    for found in _seen(viewer):
        for column in _all_columns(found):
            kind = column.type
            sized = kind.is_character or kind.is_binary
            exact = (kind.name in INTEGER_RANGE and kind.name != "bit") or kind.name == "decimal"
            precision, scale = kind.shown_precision() if not sized else (None, None)
            temporal = None if not kind.is_temporal else 0 if kind.name in ("date", "smalldatetime") else scale
            default = f"({column.default.text})" if column.default else None
            rows.append((database, found.schema, found.name, column.name, column.column_id, default, "YES" if column.nullable else "NO", kind.name,
                         kind.length if sized else None, kind.max_length() if sized else None,
                         precision if exact or kind.name in ("float", "real") else None, scale if exact else None, temporal,
                         kind.collation or None))  # fmt: skip
    return rows
