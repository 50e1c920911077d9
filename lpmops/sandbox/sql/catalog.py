"""What a database holds besides rows: schemas, tables, views, principals, roles and permissions.

A Catalog is an immutable value; a change gives a new one. It is kept as one JSON text in the database's own file, so a DDL statement and
the tables it makes commit or roll back together. Names are looked up without regard to case, as the default collation does. Object ids rise
and are never reused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lpmops.sandbox.sql.types import CASE_INSENSITIVE, SqlType

FIXED_ROLES = ("db_owner", "db_accessadmin", "db_securityadmin", "db_ddladmin", "db_backupoperator", "db_datareader", "db_datawriter",
               "db_denydatareader", "db_denydatawriter")  # fmt: skip
_ROLE_IDS = (16384, 16385, 16386, 16387, 16389, 16390, 16391, 16392, 16393)


@dataclass(frozen=True, slots=True)
class DefaultValue:
    """A DEFAULT constraint."""

    object_id: int
    name: str
    text: str
    system_named: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    column_id: int
    name: str
    type: SqlType
    nullable: bool
    default: DefaultValue | None = None
    identity_seed: int | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index, or the index of a PRIMARY KEY or UNIQUE constraint (which then has an object id)."""

    index_id: int
    name: str
    columns: tuple[tuple[str, bool], ...]
    included: tuple[str, ...] = ()
    unique: bool = False
    ignore_dup_key: bool = False
    clustered: bool = False
    constraint: str = ""
    object_id: int = 0
    system_named: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint."""

    object_id: int
    name: str
    text: str
    column: str | None = None
    system_named: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    object_id: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()
    created: str = ""
    modified: str = ""

    @property
    def full_name(self) -> str:
        """schema.table."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of that name, whatever its case."""
        wanted = name.casefold()
        return next((column for column in self.columns if column.name.casefold() == wanted), None)

    @property
    def identity(self) -> Column | None:
        """The IDENTITY column."""
        return next((column for column in self.columns if column.identity_seed is not None), None)


@dataclass(frozen=True, slots=True)
class View:
    """A view; text is its CREATE VIEW statement, columns the names and types it gives."""

    object_id: int
    schema: str
    name: str
    text: str
    columns: tuple[Column, ...]
    created: str = ""
    modified: str = ""

    @property
    def full_name(self) -> str:
        """schema.view."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class User:
    """A user or role; kind is as in sys.database_principals.type: S SQL user, E external user, R role."""

    principal_id: int
    name: str
    kind: str
    default_schema: str | None = None
    password_hash: str | None = None
    created: str = ""


@dataclass(frozen=True, slots=True)
class Permission:
    """One GRANT or DENY: scope is DATABASE, OBJECT or SCHEMA, major the object id or schema name; state is G, W (with grant option) or D."""

    scope: str
    major: str
    grantee: str
    permission: str
    state: str
    grantor: str = "dbo"


def _initial_users() -> tuple[User, ...]:
    users = [
        User(0, "public", "R"),
        User(1, "dbo", "S", "dbo"),
        User(2, "guest", "S", "guest"),
        User(3, "INFORMATION_SCHEMA", "S"),
        User(4, "sys", "S"),
    ]
    return (*users, *(User(number, name, "R") for number, name in zip(_ROLE_IDS, FIXED_ROLES, strict=True)))


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything of one database at one moment; version rises with each change."""

    collation: str = CASE_INSENSITIVE
    version: int = 0
    next_object_id: int = 901_578_250
    next_principal_id: int = 5
    next_schema_id: int = 5
    schemas: tuple[tuple[int, str, str], ...] = (
        (1, "dbo", "dbo"),
        (2, "guest", "guest"),
        (3, "INFORMATION_SCHEMA", "INFORMATION_SCHEMA"),
        (4, "sys", "sys"),
    )
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    users: tuple[User, ...] = field(default_factory=_initial_users)
    members: tuple[tuple[str, str], ...] = (("db_owner", "dbo"),)
    permissions: tuple[Permission, ...] = ()

    def schema(self, name: str) -> str | None:
        """A schema's own spelling of its name."""
        wanted = name.casefold()
        return next((found for _, found, _ in self.schemas if found.casefold() == wanted), None)

    def schema_id(self, name: str) -> int | None:
        """sys.schemas.schema_id."""
        wanted = name.casefold()
        return next((number for number, found, _ in self.schemas if found.casefold() == wanted), None)

    @property
    def objects(self) -> tuple[Table | View, ...]:
        """Every table and view."""
        return (*self.tables, *self.views)

    def find(self, schema: str, name: str) -> Table | View | None:
        """The table or view of that name."""
        wanted = (schema.casefold(), name.casefold())
        for found in self.objects:
            if (found.schema.casefold(), found.name.casefold()) == wanted:
                return found
        return None

    def by_id(self, object_id: int) -> Table | View | None:
        """The table or view with that id."""
        return next((found for found in self.objects if found.object_id == object_id), None)

    def named(self, schema: str, name: str) -> int | None:
        """The object id of any schema-bound name: table, view or constraint."""
        found = self.find(schema, name)
        if found is not None:
            return found.object_id
        wanted = name.casefold()
        for table in self.tables:
            if table.schema.casefold() == schema.casefold():
                for number, constraint in _constraints(table):
                    if constraint.casefold() == wanted:
                        return number
        return None

    def user(self, name: str) -> User | None:
        """The user or role of that name."""
        wanted = name.casefold()
        return next((user for user in self.users if user.name.casefold() == wanted), None)

    def roles_of(self, name: str) -> frozenset[str]:
        """Every role that a principal is in, directly or through roles, public included."""
        found = {"public"}
        pending = [name]
        while pending:
            member = pending.pop()
            for role, held in self.members:
                if held == member and role not in found:
                    found.add(role)
                    pending.append(role)
        return frozenset(found)

    def take_id(self) -> tuple[int, Catalog]:
        """A fresh object id, and the catalog that has given it away."""
        # SQL Server's ids rise in steps of 16; seeing neighbours that are not adjacent keeps readers from counting on it.
        return self.next_object_id, replace(self, next_object_id=self.next_object_id + 16)

    def with_table(self, table: Table) -> Catalog:
        """With a table added, or in place of the one with its id."""
        kept = tuple(found for found in self.tables if found.object_id != table.object_id)
        return replace(self, tables=(*kept, table))

    def with_view(self, view: View) -> Catalog:
        """With a view added, or in place of the one with its id."""
        kept = tuple(found for found in self.views if found.object_id != view.object_id)
        return replace(self, views=(*kept, view))

    def without_object(self, object_id: int) -> Catalog:
        """Without a table or view, and without the permissions on it."""
        return replace(
            self,
            tables=tuple(found for found in self.tables if found.object_id != object_id),
            views=tuple(found for found in self.views if found.object_id != object_id),
            permissions=tuple(
                held for held in self.permissions if (held.scope, held.major) != ("OBJECT", str(object_id))
            ),
        )

    def changed(self) -> Catalog:
        """The same one version later."""
        return replace(self, version=self.version + 1)


def _constraints(table: Table) -> list[tuple[int, str]]:
    found = [(check.object_id, check.name) for check in table.checks]
    found += [(index.object_id, index.name) for index in table.indexes if index.object_id]
    found += [(column.default.object_id, column.default.name) for column in table.columns if column.default]
    return found


def to_json(catalog: Catalog) -> str:
    """The catalog as text, for the database's file."""
    return json.dumps(asdict(catalog), separators=(",", ":"))


def from_json(text: str) -> Catalog:
    """The inverse of to_json."""
    data = json.loads(text)
    return Catalog(
        collation=data["collation"],
        version=data["version"],
        next_object_id=data["next_object_id"],
        next_principal_id=data["next_principal_id"],
        next_schema_id=data["next_schema_id"],
        schemas=tuple((number, name, owner) for number, name, owner in data["schemas"]),
        tables=tuple(_table(entry) for entry in data["tables"]),
        views=tuple(
            View(**{**entry, "columns": tuple(_column(column) for column in entry["columns"])})
            for entry in data["views"]
        ),
        users=tuple(User(**entry) for entry in data["users"]),
        members=tuple((role, member) for role, member in data["members"]),
        permissions=tuple(Permission(**entry) for entry in data["permissions"]),
    )


def _column(data: dict[str, Any]) -> Column:
    default = data["default"]
    return Column(**{**data, "type": SqlType(**data["type"]), "default": DefaultValue(**default) if default else None})


def _table(data: dict[str, Any]) -> Table:
    indexes = tuple(
        Index(
            **{
                **entry,
                "columns": tuple((name, descending) for name, descending in entry["columns"]),
                "included": tuple(entry["included"]),
            }
        )
        for entry in data["indexes"]
    )
    columns = tuple(_column(entry) for entry in data["columns"])
    return Table(
        **{**data, "columns": columns, "indexes": indexes, "checks": tuple(Check(**entry) for entry in data["checks"])}
    )
