"""CREATE and ALTER VIEW, CREATE SCHEMA, DROP of tables, views and schemas."""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors, permissions
from lpmops.sandbox.sql.catalog import Column, Table, View
from lpmops.sandbox.sql.definitions.principals import drop_principal
from lpmops.sandbox.sql.definitions.surroundings import Change, Surroundings, require, schema_of
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    CreateSchema,
    CreateView,
    Drop,
)
from lpmops.sandbox.sql.translate import view_columns
from lpmops.sandbox.sql.translate.fragment import name
from lpmops.sandbox.sql.translate.translation import Translation


def create_view(statement: CreateView, place: Surroundings) -> Change:
    """CREATE, ALTER or CREATE OR ALTER VIEW. Raises SqlError 208, 2714."""
    schema, view_name = schema_of(place, statement.name)
    existing = place.catalog.find(schema, view_name)
    catalog = place.catalog
    if existing is None:
        if not statement.create:
            raise SqlError(208, f"Invalid object name '{'.'.join(statement.name)}'.", 16, 6)
        require(place, "CREATE VIEW", schema)
        if catalog.named(schema, view_name) is not None:
            raise errors.already_exists(view_name)
        number, catalog = catalog.take_id()
        created = place.now
    else:
        if not statement.alter or isinstance(existing, Table):
            raise errors.already_exists(view_name)
        if not permissions.allowed(catalog, place.principal, "ALTER", existing):
            raise errors.cannot_find("object", view_name)
        number, created = existing.object_id, existing.created
    columns = view_columns(statement.query, statement.columns, view_name, catalog, place.database, schema)
    shown = tuple(
        Column(position, column.name, column.type, column.nullable) for position, column in enumerate(columns, 1)
    )
    text = statement.text
    return Change(catalog.with_view(View(number, schema, view_name, text, shown, created, place.now)).changed())


def create_schema(statement: CreateSchema, place: Surroundings) -> Change:
    """CREATE SCHEMA. Raises SqlError 262, 2714."""
    if not permissions.allowed(place.catalog, place.principal, "CREATE SCHEMA"):
        raise errors.database_permission_denied("CREATE SCHEMA", place.database)
    if place.catalog.schema(statement.name) is not None:
        raise errors.already_exists(statement.name)
    owner = "dbo" if permissions.is_owner(place.catalog, place.principal) else place.principal
    if statement.owner is not None:
        found = place.catalog.user(statement.owner)
        if found is None:
            raise errors.cannot_find("user", statement.owner)
        owner = found.name
    number = place.catalog.next_schema_id
    catalog = replace(
        place.catalog, schemas=(*place.catalog.schemas, (number, statement.name, owner)), next_schema_id=number + 1
    )
    return Change(catalog.changed())


def drop(statement: Drop, place: Surroundings) -> Change:
    """DROP of one or several things of a kind. Raises SqlError 3701, 3705, 3729, 15151."""
    change = Change(place.catalog)
    for parts in statement.names:
        here = replace(place, catalog=change.catalog)
        one = {"TABLE": _drop_object, "VIEW": _drop_object, "SCHEMA": _drop_schema}.get(statement.kind, drop_principal)(
            statement, parts, here
        )
        change = Change(one.catalog, (*change.statements, *one.statements), (*change.recount, *one.recount))
    return change


def _drop_object(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    kind = statement.kind.lower()
    shown = ".".join(part for part in parts if part)
    schema, wanted = Translation(place.catalog, {}, place.database, place.default_schema).find(parts)
    found = place.catalog.find(schema, wanted)
    if found is None or not permissions.allowed(place.catalog, place.principal, "ALTER", found):
        if statement.if_exists and found is None:
            return Change(place.catalog)
        raise errors.cannot_drop(kind, shown)
    if isinstance(found, Table) != (statement.kind == "TABLE"):
        text = (
            f"Cannot use DROP {statement.kind} with '{shown}' because '{shown}' is a {'table' if isinstance(found, Table) else 'view'}. "
            f"Use DROP {'TABLE' if isinstance(found, Table) else 'VIEW'}."
        )
        raise SqlError(3705, text, 16, 1)
    statements = (f"DROP TABLE {name(found.full_name)}",) if isinstance(found, Table) else ()
    return Change(place.catalog.without_object(found.object_id).changed(), statements, (found.object_id,))


def _drop_schema(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    schema = place.catalog.schema(parts[-1])
    if schema is None:
        if statement.if_exists:
            return Change(place.catalog)
        raise errors.cannot_find("schema", parts[-1])
    if schema in ("dbo", "sys", "guest", "INFORMATION_SCHEMA") or not permissions.allowed(
        place.catalog, place.principal, "ALTER", schema=schema
    ):
        raise errors.cannot_find("schema", schema)
    inside = next((found.name for found in place.catalog.objects if found.schema == schema), None)
    if inside is not None:
        raise SqlError(
            3729, f"Cannot drop schema '{schema}' because it is being referenced by object '{inside}'.", 16, 1
        )
    kept = tuple(entry for entry in place.catalog.schemas if entry[1] != schema)
    held = tuple(entry for entry in place.catalog.permissions if (entry.scope, entry.major) != ("SCHEMA", schema))
    return Change(replace(place.catalog, schemas=kept, permissions=held).changed())
