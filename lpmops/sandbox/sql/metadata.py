"""The functions that ask about the session, the server and the catalog: DB_NAME(), @@ROWCOUNT, OBJECT_ID(), HAS_PERMS_BY_NAME() and their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.sql import moments, permissions
from lpmops.sandbox.sql.catalog import Catalog, Index, Table, View
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.types import SYSTEM_TYPES

if TYPE_CHECKING:
    from lpmops.sandbox.sql.session import Session

VERSION = "12.0.2000.8"
# The text of Azure SQL Database, with a date of its own; evidence: SELECT @@VERSION in Microsoft's documentation.
VERSION_TEXT = (
    "Microsoft SQL Azure (RTM) - 12.0.2000.8 \n\tOct  2 2025 12:00:00 \n\tCopyright (C) 2025 Microsoft Corporation\n"
)


def context(session: Session, key: str, now: str) -> Stored:
    """A value of the session that a statement sees as constant; `now` is its moment."""
    if key.startswith("NOW "):
        match key[4:]:
            case "datetime":
                return moments.timestamp_text(moments.legacy_rounded(moments.ticks_of(now)))
            case "datetimeoffset":
                return now + "+00:00"
        return now
    return _CONTEXT[key](session)


def _error(attribute: str) -> Callable[[Session], Stored]:
    return lambda session: getattr(session.caught, attribute) if session.caught is not None else None


_CONTEXT: dict[str, Callable[[Any], Stored]] = {
    "@@ROWCOUNT": lambda s: s.rowcount, "ROWCOUNT_BIG": lambda s: s.rowcount, "@@TRANCOUNT": lambda s: s.trancount, "@@ERROR": lambda s: s.last_error,
    "@@SPID": lambda s: s.number, "SESSION_ID": lambda s: s.number, "@@VERSION": lambda _: VERSION_TEXT,
        "@@SERVERNAME": lambda s: s.database.server_name,
    "@@IDENTITY": lambda s: None if s.last_identity is None else str(s.last_identity),
    "SCOPE_IDENTITY": lambda s: None if s.last_identity is None else str(s.last_identity),
    "@@LOCK_TIMEOUT": lambda s: s.settings.lock_timeout, "@@LANGUAGE": lambda _: "us_english", "@@DATEFIRST": lambda _: 7,
        "@@OPTIONS": lambda _: 5496,
    "@@MAX_PRECISION": lambda _: 38, "@@TEXTSIZE": lambda s: s.settings.text_size,
    "USER_NAME": lambda s: s.principal, "CURRENT_USER": lambda s: s.principal, "SESSION_USER": lambda s: s.principal, "USER": lambda s: s.principal,
    "SUSER_SNAME": lambda s: s.signed_in.name, "SUSER_NAME": lambda s: s.signed_in.name, "ORIGINAL_LOGIN": lambda s: s.signed_in.name,
    "SYSTEM_USER": lambda s: s.signed_in.name, "DB_NAME": lambda s: s.database.name, "DB_ID": lambda s: s.database.database_id,
    "APP_NAME": lambda s: s.login.application, "HOST_NAME": lambda s: s.login.host, "SCHEMA_NAME": lambda s: s.default_schema,
    "SCHEMA_ID": lambda s: s.catalog.schema_id(s.default_schema), "DATABASE_PRINCIPAL_ID": lambda s: _user_id(s, s.principal),
    "USER_ID": lambda s: _user_id(s, s.principal),
    "XACT_STATE": lambda s: -1 if s.doomed else int(s.trancount > 0), "ERROR_NUMBER": _error("number"), "ERROR_MESSAGE": _error("message"),
    "ERROR_SEVERITY": _error("severity"), "ERROR_STATE": _error("state"), "ERROR_LINE": _error("line"), "ERROR_PROCEDURE": lambda _: None,
}  # fmt: skip


def _user_id(session: Session, name: str) -> int | None:
    user = session.catalog.user(name)
    return user.principal_id if user else None


def answer(session: Session, question: str, arguments: tuple[Any, ...]) -> Any:
    """A function with arguments; NULL where it does not know, as SQL Server's do."""
    if question == "HAS_PERMS_BY_NAME":
        return _has_permission(session, *arguments)
    if arguments[0] is None:
        return None
    return _ANSWERS[question](session, *arguments)


def split_name(text: str) -> tuple[str, ...]:
    """The parts of a written object name, `[a].b`, without its quotes."""
    parts: list[str] = []
    position = 0
    while position <= len(text):
        if text[position : position + 1] in ("[", '"'):
            closing = "]" if text[position] == "[" else '"'
            end = position + 1
            piece = ""
            while end < len(text):
                if text[end] == closing and text[end + 1 : end + 2] == closing:
                    piece += closing
                    end += 2
                elif text[end] == closing:
                    break
                else:
                    piece += text[end]
                    end += 1
            parts.append(piece)
            position = end + 2
        else:
            end = text.find(".", position)
            end = len(text) if end < 0 else end
            parts.append(text[position:end].strip())
            position = end + 1
    return tuple(parts)


def resolve_object(session: Session, text: str) -> Table | View | None:
    """The visible table or view of a written name."""
    parts = split_name(str(text))
    if len(parts) > 3 or (len(parts) == 3 and parts[0] and parts[0].casefold() != session.database.name.casefold()):
        return None
    schemas = [parts[-2]] if len(parts) > 1 and parts[-2] else [session.default_schema, "dbo"]
    for schema in schemas:
        found = session.catalog.find(schema, parts[-1])
        if found is not None and permissions.visible(session.catalog, session.principal, found):
            return found
    return None


_CODES = {"U": Table, "V": View}


def _object_id(session: Session, text: str, kind: str | None = None) -> int | None:
    found = resolve_object(session, text)
    if found is not None:
        wanted = kind.strip().upper() if kind else None
        return found.object_id if wanted is None or (wanted in _CODES and isinstance(found, _CODES[wanted])) else None
    if kind and kind.strip().upper() in _CODES:
        return None
    parts = split_name(str(text))
    number = session.catalog.named(parts[-2] if len(parts) > 1 else session.default_schema, parts[-1])
    return number if number is not None and session.catalog.by_id(number) is None else None


def _seen(session: Session, number: Any) -> Table | View | None:
    found = session.catalog.by_id(int(number))
    return found if found is not None and permissions.visible(session.catalog, session.principal, found) else None


def _object_name(session: Session, number: Any, _database: Any = None) -> str | None:
    found = _seen(session, number)
    return found.name if found else None


def _object_schema(session: Session, number: Any, _database: Any = None) -> str | None:
    found = _seen(session, number)
    return found.schema if found else None


def _column_length(session: Session, table: str, column: str) -> int | None:
    found = resolve_object(session, table)
    match = next((c for c in found.columns if c.name.casefold() == str(column).casefold()), None) if found else None
    return match.type.max_length() if match else None


def _column_name(session: Session, number: Any, column_id: Any) -> str | None:
    found = _seen(session, number)
    return next((column.name for column in found.columns if column.column_id == column_id), None) if found else None


def _index_property(session: Session, number: Any, index_name: str, wanted: str) -> int | None:
    found = _seen(session, number)
    index: Index | None = None
    if isinstance(found, Table):
        index = next((item for item in found.indexes if item.name.casefold() == str(index_name).casefold()), None)
    if index is None:
        return None
    known = {
        "indexid": index.index_id,
        "isunique": int(index.unique),
        "isclustered": int(index.clustered),
        "isdisabled": 0,
        "isstatistics": 0,
    }
    return known.get(str(wanted).lower())


def _column_property(session: Session, number: Any, column: str, wanted: str) -> int | None:
    found = _seen(session, number)
    match = next((c for c in found.columns if c.name.casefold() == str(column).casefold()), None) if found else None
    if match is None:
        return None
    known = {"allowsnull": int(match.nullable), "columnid": match.column_id, "isidentity": int(match.identity_seed is not None), "iscomputed": 0,
             "precision": match.type.length if match.type.length else match.type.shown_precision()[0]}  # fmt: skip
    return known.get(str(wanted).lower())


def _object_property(session: Session, number: Any, wanted: str) -> int | None:
    found = _seen(session, number)
    if found is None:
        return None
    table = isinstance(found, Table)
    known = {"istable": int(table), "isusertable": int(table), "isview": int(not table), "isprocedure": 0,
             "tablehasprimarykey": int(table and any(index.constraint == "PRIMARY KEY" for index in found.indexes)) if isinstance(found,
             Table) else 0,
             "tablehasidentity": int(isinstance(found, Table) and found.identity is not None)}  # fmt: skip
    return known.get(str(wanted).lower())


def _type_id(_session: Session, text: str) -> int | None:
    name = split_name(str(text))[-1].lower()
    return 256 if name == "sysname" else SYSTEM_TYPES[name][0] if name in SYSTEM_TYPES else None


def _type_name(_session: Session, number: Any) -> str | None:
    if number == 256:
        return "sysname"
    return next((name for name, (known, *_) in SYSTEM_TYPES.items() if known == number), None)


def _is_member(session: Session, role: str) -> int | None:
    found = session.catalog.user(str(role))
    if found is None or found.kind != "R":
        return None
    if session.principal == "dbo" and found.name == "db_owner":
        return 1
    return int(found.name in session.catalog.roles_of(session.principal))


def _is_role_member(session: Session, role: str, principal: str | None = None) -> int | None:
    found = session.catalog.user(str(role))
    user = session.catalog.user(principal) if principal is not None else session.catalog.user(session.principal)
    if found is None or found.kind != "R" or user is None:
        return None
    return int(found.name in session.catalog.roles_of(user.name))


def _has_permission(session: Session, securable: Any, kind: Any, permission: Any) -> int | None:
    """HAS_PERMS_BY_NAME for DATABASE, SCHEMA and OBJECT; NULL for what is not there or not a permission of that class."""
    catalog = session.catalog
    wanted = str(permission).upper() if permission is not None else ""
    word = str(kind).upper() if kind is not None else ""
    if word == "DATABASE":
        if securable is not None and split_name(str(securable))[-1].casefold() != session.database.name.casefold():
            return None
        return _held(catalog, session.principal, wanted, permissions.DATABASE_PERMISSIONS)
    if securable is None:
        return None
    if word == "SCHEMA":
        schema = catalog.schema(split_name(str(securable))[-1])
        return (
            None
            if schema is None
            else _held(catalog, session.principal, wanted, permissions.SCHEMA_PERMISSIONS, None, schema)
        )
    if word == "OBJECT":
        found = resolve_object(session, str(securable))
        return (
            None if found is None else _held(catalog, session.principal, wanted, permissions.OBJECT_PERMISSIONS, found)
        )
    return None


def _held(
    catalog: Catalog,
    principal: str,
    wanted: str,
    known: tuple[str, ...],
    target: Table | View | None = None,
    schema: str | None = None,
) -> int | None:
    if wanted == "ANY":
        return int(any(permissions.allowed(catalog, principal, permission, target, schema) for permission in known))
    if wanted not in known:
        return None
    return int(permissions.allowed(catalog, principal, wanted, target, schema))


# Edition and the rest: Azure SQL Database answers SERVERPROPERTY('EngineEdition') with 5 and ('Edition') with 'SQL Azure'.
_SERVER_PROPERTIES: dict[str, Stored] = {
    "edition": "SQL Azure", "engineedition": 5, "productversion": VERSION, "productlevel": "RTM", "productmajorversion": "12",
    "productminorversion": "0", "editionid": 1674378470, "isintegratedsecurityonly": 0, "collation": "SQL_Latin1_General_CP1_CI_AS",
}  # fmt: skip


def _server_property(session: Session, wanted: str) -> Stored:
    lower = str(wanted).lower()
    return session.database.server_name if lower in ("servername", "machinename") else _SERVER_PROPERTIES.get(lower)


def _database_property(session: Session, database: str, wanted: str) -> Stored:
    if str(database).casefold() != session.database.name.casefold():
        return None
    known: dict[str, Stored] = {
        "status": "ONLINE", "updateability": "READ_WRITE", "useraccess": "MULTI_USER", "collation": session.catalog.collation, "recovery": "FULL",
        "maxsizeinbytes": session.database.max_size_bytes, "version": 957, "edition": "GeneralPurpose",
        "serviceobjective": "GP_S_Gen5_2" if session.database.serverless else "GP_Gen5_2",
    }  # fmt: skip
    return known.get(str(wanted).lower())


_ANSWERS: dict[str, Callable[..., Any]] = {
    "OBJECT_ID": _object_id, "OBJECT_NAME": _object_name, "OBJECT_SCHEMA_NAME": _object_schema, "COL_LENGTH": _column_length,
        "COL_NAME": _column_name,
    "INDEXPROPERTY": _index_property, "COLUMNPROPERTY": _column_property, "OBJECTPROPERTY": _object_property, "TYPE_ID": _type_id,
    "TYPE_NAME": _type_name, "IS_MEMBER": _is_member, "IS_ROLEMEMBER": _is_role_member, "SERVERPROPERTY": _server_property,
    "DATABASEPROPERTYEX": _database_property,
    "FILEPROPERTY": lambda s, _name, wanted: s.database.pages() if str(wanted).lower() == "spaceused" else None,
    "SCHEMA_ID": lambda s, name: s.catalog.schema_id(str(name)),
    "SCHEMA_NAME": lambda s, number: next((name for known, name, _ in s.catalog.schemas if known == number), None),
    "DB_ID": lambda s, name: s.database.database_id if str(name).casefold() == s.database.name.casefold() else None,
    "DB_NAME": lambda s, number: s.database.name if number == s.database.database_id else None,
    "USER_NAME": lambda s, number: next((user.name for user in s.catalog.users if user.principal_id == number), None),
    "USER_ID": lambda s, name: _user_id(s, str(name)), "DATABASE_PRINCIPAL_ID": lambda s, name: _user_id(s, str(name)),
    # Logins live in the directory here, not in the server: a sid has no name to give.
    "SUSER_SNAME": lambda _s, _sid: None, "SUSER_NAME": lambda _s, _id: None,
    "HAS_DBACCESS": lambda s, name: 1 if str(name).casefold() == s.database.name.casefold() else None,
}  # fmt: skip
