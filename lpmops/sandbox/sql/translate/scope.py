"""What names mean at a place in a query: sources, their columns, and the queries around."""

from __future__ import annotations

from dataclasses import dataclass, field

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.translate.fragment import Fragment


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column as a query sees it; an empty name is a column nobody named."""

    name: str
    fragment: Fragment


@dataclass(frozen=True, slots=True)
class ScopeSource:
    """One source of FROM: the names it goes by (most qualified last) and its columns."""

    exposed: str
    qualifiers: tuple[tuple[str, ...], ...]
    columns: tuple[ScopeColumn, ...]
    row_id: str = ""
    object_id: int = 0


@dataclass(frozen=True, slots=True)
class CommonSource:
    """A common table expression that may be named in FROM."""

    sql_name: str
    columns: tuple[ScopeColumn, ...]


@dataclass(slots=True)
class Scope:
    """The sources of one SELECT; `groups` holds the SQL of what it is grouped by once that is known, None where it is not grouped."""

    parent: Scope | None = None
    sources: list[ScopeSource] = field(default_factory=list)
    commons: dict[str, CommonSource] = field(default_factory=dict)
    groups: frozenset[str] | None = None
    complex_groups: bool = False
    in_aggregate: bool = False
    aggregates: str = ""
    clause: str = "select list"

    def add(self, source: ScopeSource) -> None:
        """One more source. Raises SqlError 1013 where its name is taken."""
        if any(found.exposed.casefold() == source.exposed.casefold() for found in self.sources):
            text = (
                f'The objects "{source.exposed}" and "{source.exposed}" in the FROM clause have the same exposed names. '
                "Use correlation names to distinguish them."
            )
            raise SqlError(1013, text, 16, 1)
        self.sources.append(source)

    def common(self, wanted: str) -> CommonSource | None:
        """The common table expression of that name, here or further out."""
        found = self.commons.get(wanted.casefold())
        if found is None and self.parent is not None:
            return self.parent.common(wanted)
        return found

    def column(self, parts: tuple[str, ...]) -> Fragment:
        """The column that a name means, here or in a query around. Raises SqlError 207, 209, 4104, 8120."""
        scope: Scope | None = self
        while scope is not None:
            found = scope._own(parts)
            if found is not None:
                scope._check_grouped(parts, found)
                return found
            scope = scope.parent
        if len(parts) == 1:
            raise errors.invalid_column(parts[0])
        raise SqlError(4104, f'The multi-part identifier "{".".join(parts)}" could not be bound.', 16, 1)

    def _own(self, parts: tuple[str, ...]) -> Fragment | None:
        wanted = parts[-1].casefold()
        qualifier = tuple(part.casefold() for part in parts[:-1])
        found: list[Fragment] = []
        for source in self.sources:
            if qualifier and qualifier not in source.qualifiers:
                continue
            found.extend(column.fragment for column in source.columns if column.name.casefold() == wanted)
            if qualifier and not any(column.name.casefold() == wanted for column in source.columns):
                raise errors.invalid_column(parts[-1])
        if len(found) > 1:
            raise SqlError(209, f"Ambiguous column name '{parts[-1]}'.", 16, 1)
        return found[0] if found else None

    def _check_grouped(self, parts: tuple[str, ...], found: Fragment) -> None:
        if self.groups is None or self.in_aggregate or found.sql in self.groups:
            return
        shown = self.shown(parts)
        if self.clause == "HAVING":
            text = (
                f"Column '{shown}' is invalid in the HAVING clause because it is not contained in either an aggregate "
                "function or the GROUP BY clause."
            )
            raise SqlError(8121, text, 16, 1)
        if self.clause == "ORDER BY":
            text = (
                f'Column "{shown}" is invalid in the ORDER BY clause because it is not contained in either an '
                "aggregate function or the GROUP BY clause."
            )
            raise SqlError(8127, text, 16, 1)
        text = f"Column '{shown}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."
        raise SqlError(8120, text, 16, 1)

    def shown(self, parts: tuple[str, ...]) -> str:
        """A column's name with its source, as messages show it."""
        for source in self.sources:
            if any(column.name.casefold() == parts[-1].casefold() for column in source.columns):
                return f"{source.exposed}.{parts[-1]}"
        return ".".join(parts)
