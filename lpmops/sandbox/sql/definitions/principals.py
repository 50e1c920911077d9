"""Users, roles, their members, and GRANT, DENY, REVOKE."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from lpmops.sandbox.sql import errors, permissions
from lpmops.sandbox.sql.catalog import Permission, User
from lpmops.sandbox.sql.definitions.surroundings import Change, Surroundings
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    AlterRole,
    ChangePermission,
    CreatePrincipal,
    Drop,
)
from lpmops.sandbox.sql.translate.translation import Translation


def password_hash(password: str, salt: bytes | None = None) -> str:
    """A contained user's password, salted and hashed."""
    salt = os.urandom(16) if salt is None else salt
    return salt.hex() + ":" + hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 10_000).hex()


def create_principal(statement: CreatePrincipal, place: Surroundings) -> Change:
    """CREATE USER or ROLE; a user may connect. Raises SqlError 15023, 15247."""
    right = "CREATE ROLE" if statement.kind == "ROLE" else "ALTER ANY USER"
    if not permissions.allowed(place.catalog, place.principal, right):
        raise errors.not_allowed()
    if place.catalog.user(statement.name) is not None:
        text = f"User, group, or role '{statement.name}' already exists in the current database."
        raise SqlError(15023, text, 16, 1)
    number = place.catalog.next_principal_id
    kind = {"ROLE": "R", "EXTERNAL": "E", "SQL": "S"}[statement.kind]
    hashed = password_hash(statement.password) if statement.password is not None else None
    default_schema = None if kind == "R" else statement.default_schema or "dbo"
    user = User(number, statement.name, kind, default_schema, hashed, place.now)
    catalog = replace(place.catalog, users=(*place.catalog.users, user), next_principal_id=number + 1)
    if kind != "R":
        catalog = replace(
            catalog, permissions=(*catalog.permissions, Permission("DATABASE", "", user.name, "CONNECT", "G"))
        )
    return Change(catalog.changed())


def drop_principal(statement: Drop, parts: tuple[str, ...], place: Surroundings) -> Change:
    """DROP USER or ROLE. Raises SqlError 15138, 15144, 15150, 15151."""
    found = place.catalog.user(parts[-1])
    wants_role = statement.kind == "ROLE"
    if found is None or (found.kind == "R") != wants_role:
        if statement.if_exists:
            return Change(place.catalog)
        raise errors.cannot_find(statement.kind.lower(), parts[-1])
    if not permissions.allowed(place.catalog, place.principal, "ALTER ANY ROLE" if wants_role else "ALTER ANY USER"):
        raise errors.not_allowed()
    if found.principal_id < 5 or found.principal_id >= 16384:
        raise SqlError(15150, f"Cannot drop the {statement.kind.lower()} '{found.name}'.", 16, 1)
    if any(owner == found.name for _, _, owner in place.catalog.schemas):
        raise SqlError(15138, "The database principal owns a schema in the database, and cannot be dropped.", 16, 1)
    if wants_role and any(role == found.name for role, _ in place.catalog.members):
        raise SqlError(15144, "The role has members. It must be empty before it can be dropped.", 16, 1)
    catalog = replace(
        place.catalog,
        users=tuple(user for user in place.catalog.users if user is not found),
        members=tuple(pair for pair in place.catalog.members if found.name not in pair),
        permissions=tuple(held for held in place.catalog.permissions if held.grantee != found.name),
    )
    return Change(catalog.changed())


def alter_role(statement: AlterRole, place: Surroundings) -> Change:
    """ALTER ROLE ... ADD or DROP MEMBER. Raises SqlError 15151, 15413."""
    role, member = place.catalog.user(statement.role), place.catalog.user(statement.member)
    if role is None or role.kind != "R" or not permissions.allowed(place.catalog, place.principal, "ALTER ANY ROLE"):
        raise errors.cannot_find("role", statement.role)
    fixed = role.principal_id >= 16384
    if fixed and not permissions.is_owner(place.catalog, place.principal):
        raise errors.cannot_find("role", statement.role)
    if (
        member is None
        or member.name in ("public", "dbo", "sys", "INFORMATION_SCHEMA", "guest")
        or role.name == "public"
    ):
        raise errors.cannot_find("principal", statement.member)
    if statement.add and (member.name == role.name or member.name in place.catalog.roles_of(role.name)):
        raise SqlError(15413, "Cannot make a role a member of itself.", 11, 1)
    members = tuple(pair for pair in place.catalog.members if pair != (role.name, member.name))
    if statement.add:
        members = (*members, (role.name, member.name))
    return Change(replace(place.catalog, members=members).changed())


def change_permission(statement: ChangePermission, place: Surroundings) -> Change:
    """GRANT, DENY or REVOKE. Raises SqlError 102, 4604, 4606, 4613, 15151."""
    scope, major, known = _securable(statement, place)
    wanted: list[str] = []
    for permission in statement.permissions:
        if permission == "ALL":
            raise errors.unsupported_option("ALL")
        if permission not in known:
            if permission in permissions.DATABASE_PERMISSIONS:
                text = f"Granted or revoked privilege {permission} is not compatible with object."
                raise SqlError(4606, text, 16, 1)
            raise errors.syntax(permission)
        wanted.append(permission)
    catalog = place.catalog
    for grantee in statement.principals:
        user = catalog.user(grantee)
        if user is None:
            raise errors.cannot_find("user", grantee)
        if user.name in ("dbo", "sys", "INFORMATION_SCHEMA") or user.principal_id >= 16384:
            text = "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself."
            raise SqlError(4604 if user.principal_id >= 16384 else 15330, text, 16, 1)
        kept = tuple(
            held for held in catalog.permissions
            if not (held.grantee == user.name and (held.scope, held.major) == (scope, major) and held.permission in wanted)
        )  # fmt: skip
        if statement.verb != "REVOKE":
            state = "D" if statement.verb == "DENY" else "W" if statement.with_grant else "G"
            kept = (*kept, *(Permission(scope, major, user.name, permission, state) for permission in wanted))
        catalog = replace(catalog, permissions=kept)
    return Change(catalog.changed())


def _securable(statement: ChangePermission, place: Surroundings) -> tuple[str, str, tuple[str, ...]]:
    """(scope, major id, permissions it may carry), after the caller's right to give them is checked."""
    catalog = place.catalog
    if statement.scope == "DATABASE":
        if statement.securable and statement.securable[-1].casefold() != place.database.casefold():
            raise errors.cannot_find("database", statement.securable[-1])
        if not permissions.allowed(catalog, place.principal, "CONTROL"):
            raise SqlError(4613, "Grantor does not have GRANT permission.", 16, 1)
        return "DATABASE", "", permissions.DATABASE_PERMISSIONS
    if statement.scope == "SCHEMA":
        schema = catalog.schema(statement.securable[-1])
        if schema is None or not permissions.allowed(catalog, place.principal, "CONTROL", schema=schema):
            raise errors.cannot_find("schema", statement.securable[-1])
        return "SCHEMA", schema, permissions.SCHEMA_PERMISSIONS
    wanted_schema, wanted = Translation(catalog, {}, place.database, place.default_schema).find(statement.securable)
    found = catalog.find(wanted_schema, wanted)
    if found is None or not permissions.allowed(catalog, place.principal, "CONTROL", found):
        raise errors.cannot_find("object", ".".join(statement.securable))
    return "OBJECT", str(found.object_id), permissions.OBJECT_PERMISSIONS
