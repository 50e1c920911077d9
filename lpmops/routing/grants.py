"""The SQL that gives rights: users and permissions of a database, privileges of Unity Catalog. Names are quoted here, whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from lpmops.resources import query
from lpmops.routing.quoting import identifier, path


def user(name: str) -> str:
    """Makes the user of an identity of Microsoft Entra ID in a database. Raises ValueError for what is no name."""
    return _filled("tsql/grant_user.sql", user=identifier(name))


def on_object(name: str, dotted: str, permissions: Sequence[str]) -> str:
    """Lets a user do things with the table or view `schema.name`. Raises ValueError for what is no name."""
    return _filled(
        "tsql/grant_object.sql", permissions=", ".join(permissions), object=path(dotted), user=identifier(name)
    )


def in_database(name: str, permissions: Sequence[str]) -> str:
    """Lets a user do things in the whole database. Raises ValueError for what is no name."""
    return _filled("tsql/grant_database.sql", permissions=", ".join(permissions), user=identifier(name))


def in_catalog(principal: str, privilege: str, kind: str, dotted: str) -> str:
    """Gives a privilege on a thing of Unity Catalog."""
    name = ".".join(_backquoted(part) for part in dotted.split("."))
    return _filled(
        "databricks/grant.sql",
        privilege=privilege.replace("_", " "),
        kind="SERVICE CREDENTIAL" if kind == "credential" else kind.upper(),
        name=name,
        principal=_backquoted(principal),
    )


def _backquoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _filled(text: str, /, **parts: str) -> str:
    """The text of a query without its comment, filled in."""
    lines = [line for line in query(text).splitlines() if not line.startswith("--")]
    return Template("\n".join(lines).strip()).substitute(parts)
