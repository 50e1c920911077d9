"""The SQL that gives rights: users and permissions of a database, privileges of Unity Catalog. Names are quoted here, whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from lpmops.resources import query
from lpmops.routing.quoting import identifier, national_literal, path, spark_identifier, spark_path


def user(name: str) -> str:
    """Makes the user of an identity of Microsoft Entra ID in a database. Raises ValueError for what is no name."""
    return _filled("tsql/user_create.sql", identity=identifier(name), identity_text=national_literal(name))


def on_object(name: str, dotted: str, permissions: Sequence[str]) -> str:
    """Lets a user do things with the table or view `schema.name`. Raises ValueError for what is no name."""
    return _filled(
        "tsql/grant_object.sql", permissions=", ".join(permissions), object=path(dotted), user=identifier(name)
    )


def revoked(name: str, dotted: str, permissions: Sequence[str]) -> str:
    """Takes back what a user was given or denied on the table or view `schema.name`. Raises ValueError for what is no name."""
    return _filled(
        "tsql/revoke_object.sql", permissions=", ".join(permissions), object=path(dotted), user=identifier(name)
    )


def in_database(name: str, permissions: Sequence[str]) -> str:
    """Lets a user do things in the whole database. Raises ValueError for what is no name."""
    return _filled("tsql/grant_database.sql", permissions=", ".join(permissions), user=identifier(name))


def no_user(name: str) -> str:
    """Takes a user out of a database, with all that it was given. Raises ValueError for what is no name."""
    return _filled("tsql/revoke_user.sql", user=identifier(name))


def out_of_database(name: str, permissions: Sequence[str]) -> str:
    """Takes back what a user was given in the whole database. Raises ValueError for what is no name."""
    return _filled("tsql/revoke_database.sql", permissions=", ".join(permissions), user=identifier(name))


def in_catalog(principal: str, privilege: str, kind: str, dotted: str) -> str:
    """Gives a privilege on a thing of Unity Catalog."""
    return _catalog("databricks/grant.sql", principal, privilege, kind, dotted)


def out_of_catalog(principal: str, privilege: str, kind: str, dotted: str) -> str:
    """Takes a privilege on a thing of Unity Catalog back."""
    return _catalog("databricks/revoke.sql", principal, privilege, kind, dotted)


def _catalog(text: str, principal: str, privilege: str, kind: str, dotted: str) -> str:
    return _filled(
        text,
        privilege=privilege.replace("_", " "),
        kind="SERVICE CREDENTIAL" if kind == "credential" else kind.upper(),
        name=spark_path(dotted),
        principal=spark_identifier(principal),
    )


def _filled(text: str, /, **parts: str) -> str:
    """The text of a query on one line and without its comment, filled in."""
    lines = [line for line in query(text).splitlines() if not line.startswith("--")]
    return Template(" ".join(lines).strip()).substitute(parts)
