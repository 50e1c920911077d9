"""The state of one translation, and the Program that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.catalog import Catalog, Table, View
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.translate.fragment import Fragment, constant
from lpmops.sandbox.sql.types import SqlType


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a result."""

    name: str
    type: SqlType
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Bind:
    """A value that the SQL awaits: kind is variable, context, view (rows of a system view, as JSON) or constant."""

    kind: str
    key: Stored


@dataclass(frozen=True, slots=True)
class Program:
    """A statement ready for SQLite.

    `verb` is SELECT, INSERT, UPDATE or DELETE; `needs` the permissions to check,
        by object id; `table` the object id of what is changed; `targets` the
    variables that the result's last columns go to; `locks` whether a read must hold the write lock until the transaction ends.
    """

    verb: str
    sql: str
    binds: tuple[tuple[str, Bind], ...]
    columns: tuple[OutputColumn, ...] = ()
    needs: tuple[tuple[str, int], ...] = ()
    rights: tuple[str, ...] = ()
    table: int = 0
    targets: tuple[tuple[str, SqlType], ...] = ()
    locks: bool = False
    ignores_duplicates: bool = False
    identity: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes rows."""
        return self.verb != "SELECT"


@dataclass(slots=True)
class Translation:
    """What a translation is given (catalog, variables and their types, names) and what it gathers."""

    catalog: Catalog
    variables: Mapping[str, SqlType]
    database: str
    default_schema: str = "dbo"
    infers: bool = False
    binds: dict[Bind, str] = field(default_factory=dict)
    needs: dict[tuple[str, int], None] = field(default_factory=dict)
    rights: dict[str, None] = field(default_factory=dict)
    inferred: dict[str, SqlType] = field(default_factory=dict)
    locks: bool = False
    trusted: int = 0
    apart: bool = False
    _aliases: int = 0

    def alias(self, prefix: str = "t") -> str:
        """A name that no other source of this statement has."""
        self._aliases += 1
        return f"{prefix}{self._aliases}"

    def bind(self, kind: str, key: Stored) -> str:
        """The placeholder of a value; the same for the same value."""
        bind = Bind(kind, key)
        if bind not in self.binds:
            self.binds[bind] = f"p{len(self.binds)}"
        return ":" + self.binds[bind]

    def need(self, permission: str, target: Table | View) -> None:
        """Note a permission to check, unless a view stands for it (ownership chain)."""
        if not self.trusted:
            self.needs[(permission, target.object_id)] = None

    def variable(self, name: str) -> Fragment:
        """A variable. Raises SqlError 137."""
        kind = self.variables.get(name.casefold())
        if kind is None:
            if self.infers:
                return Fragment(
                    self.bind("variable", name.casefold()),
                    self.inferred.get(name.casefold()),
                    parameter=name.casefold(),
                )
            raise errors.undeclared_variable(name)
        return Fragment(self.bind("variable", name.casefold()), kind)

    def stored(self, value: Stored, kind: SqlType | None) -> Fragment:
        """A constant, bound where its text cannot stand in a statement."""
        awkward = (isinstance(value, str) and ("\0" in value or len(value) > 1000)) or (
            isinstance(value, bytes) and len(value) > 1000
        )
        sql = self.bind("constant", value) if awkward else constant(value)
        return Fragment(sql, kind, value is None, value)

    def infer(self, fragment: Fragment, kind: SqlType | None) -> Fragment:
        """Give a parameter without type the type its place suggests."""
        if fragment.parameter and fragment.type is None and kind is not None:
            self.inferred.setdefault(fragment.parameter, kind)
            return fragment.typed(kind)
        return fragment

    def find(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """(schema, name) of an object name. Raises SqlError 40515 for another database."""
        if len(parts) == 3 and parts[0] and parts[0].casefold() != self.database.casefold():
            shown = ".".join(parts)
            raise SqlError(
                40515,
                f"Reference to database and/or server name in '{shown}' is not supported in this version of SQL Server.",
                16,
                1,
            )
        schema = parts[-2] if len(parts) > 1 and parts[-2] else ""
        if schema:
            return schema, parts[-1]
        if self.default_schema != "dbo" and self.catalog.find(self.default_schema, parts[-1]) is None:
            return "dbo", parts[-1]
        return self.default_schema, parts[-1]

    def table(self, parts: tuple[str, ...]) -> Table:
        """A table to change. Raises SqlError 208, 4405-like for views."""
        schema, name = self.find(parts)
        found = self.catalog.find(schema, name)
        if found is None:
            raise errors.invalid_object(".".join(part for part in parts if part))
        if isinstance(found, View):
            raise errors.unsupported_feature(f"change through view {found.full_name}")
        return found

    def finished(self) -> tuple[tuple[str, Bind], ...]:
        """Every placeholder with what it stands for."""
        return tuple((placeholder, bind) for bind, placeholder in self.binds.items())
