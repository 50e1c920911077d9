"""Who may do what: GRANT, DENY, fixed roles, and what one permission implies.

Rules of Microsoft's "Permissions (Database Engine)" page, for the permissions that an operations tool and a stream's identities need. DENY wins over
GRANT at any level; db_owner and server administrators are not asked. Callers give the catalog and the principal's name; nothing is cached.
"""

from __future__ import annotations

from lpmops.sandbox.sql.catalog import Catalog, Table, View

# What implies what, at any scope. Source: the "Implied by" columns of the permissions page.
_IMPLIED_BY = {
    "VIEW DATABASE PERFORMANCE STATE": ("VIEW DATABASE STATE",),
    "VIEW DATABASE SECURITY STATE": ("VIEW DATABASE STATE",),
    "VIEW DEFINITION": ("ALTER",),
    "REFERENCES": (),
    "CREATE TABLE": ("ALTER",),
    "CREATE VIEW": ("ALTER",),
    "CREATE SCHEMA": ("ALTER ANY SCHEMA", "ALTER"),
    "CREATE ROLE": ("ALTER ANY ROLE", "ALTER"),
    "ALTER ANY USER": ("ALTER",),
    "ALTER ANY ROLE": ("ALTER",),
    "ALTER ANY SCHEMA": ("ALTER",),
}

OBJECT_PERMISSIONS = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "VIEW DEFINITION", "ALTER", "CONTROL", "TAKE OWNERSHIP",
                      "VIEW CHANGE TRACKING")  # fmt: skip
SCHEMA_PERMISSIONS = (*OBJECT_PERMISSIONS, "EXECUTE", "CREATE SEQUENCE")
DATABASE_PERMISSIONS = (*SCHEMA_PERMISSIONS, "CONNECT", "CREATE TABLE", "CREATE VIEW", "CREATE SCHEMA", "CREATE ROLE", "CREATE PROCEDURE",
                        "CREATE FUNCTION", "ALTER ANY USER", "ALTER ANY ROLE", "ALTER ANY SCHEMA", "VIEW DATABASE STATE",
                        "VIEW DATABASE PERFORMANCE STATE", "VIEW DATABASE SECURITY STATE", "SHOWPLAN", "BACKUP DATABASE", "UNMASK",
                        "KILL DATABASE CONNECTION", "ADMINISTER DATABASE BULK OPERATIONS")  # fmt: skip

# sys.database_permissions.type
CODES = {"SELECT": "SL", "INSERT": "IN", "UPDATE": "UP", "DELETE": "DL", "REFERENCES": "RF", "VIEW DEFINITION": "VW", "ALTER": "AL", "CONTROL": "CL",
         "TAKE OWNERSHIP": "TO", "VIEW CHANGE TRACKING": "VWCT", "EXECUTE": "EX", "CREATE SEQUENCE": "CRSO", "CONNECT": "CO", "CREATE TABLE": "CRTB",
         "CREATE VIEW": "CRVW", "CREATE SCHEMA": "CRSM", "CREATE ROLE": "CRRL", "CREATE PROCEDURE": "CRPR", "CREATE FUNCTION": "CRFN",
         "ALTER ANY USER": "ALUS", "ALTER ANY ROLE": "ALRL", "ALTER ANY SCHEMA": "ALSM", "VIEW DATABASE STATE": "VWDS",
         "VIEW DATABASE PERFORMANCE STATE": "VDP", "VIEW DATABASE SECURITY STATE": "VDS", "SHOWPLAN": "SPLN", "BACKUP DATABASE": "BADB",
         "UNMASK": "UMSK", "KILL DATABASE CONNECTION": "KIDC", "ADMINISTER DATABASE BULK OPERATIONS": "DABO"}  # fmt: skip

_ROLE_RIGHTS = {
    "db_datareader": frozenset({"SELECT"}),
    "db_datawriter": frozenset({"INSERT", "UPDATE", "DELETE"}),
    "db_ddladmin": frozenset(
        {"ALTER", "CREATE TABLE", "CREATE VIEW", "CREATE SCHEMA", "ALTER ANY SCHEMA", "VIEW DEFINITION", "REFERENCES"}
    ),
    "db_securityadmin": frozenset({"ALTER ANY ROLE", "CREATE ROLE", "VIEW DEFINITION"}),
    "db_accessadmin": frozenset({"ALTER ANY USER", "CONNECT"}),
}
_ROLE_DENIALS = {
    "db_denydatareader": frozenset({"SELECT"}),
    "db_denydatawriter": frozenset({"INSERT", "UPDATE", "DELETE"}),
}


def is_owner(catalog: Catalog, principal: str) -> bool:
    """Whether nothing is denied to this principal: dbo or a member of db_owner."""
    return principal == "dbo" or "db_owner" in catalog.roles_of(principal)


def allowed(
    catalog: Catalog, principal: str, permission: str, target: Table | View | None = None, schema: str | None = None
) -> bool:
    """Whether the principal holds a permission on an object, on a schema, or (neither given) on the database."""
    if is_owner(catalog, principal):
        return True
    holders = catalog.roles_of(principal) | {principal}
    names = _covering(permission)
    places = {("DATABASE", "")}
    if target is not None:
        places |= {("OBJECT", str(target.object_id)), ("SCHEMA", target.schema)}
    elif schema is not None:
        places.add(("SCHEMA", schema))
    granted = any(permission in _ROLE_RIGHTS.get(role, ()) for role in holders)
    for role in holders:
        if permission in _ROLE_DENIALS.get(role, ()):
            return False
    for held in catalog.permissions:
        if held.grantee in holders and held.permission in names and (held.scope, held.major) in places:
            if held.state == "D":
                return False
            granted = True
    return granted


def _covering(permission: str) -> frozenset[str]:
    found = {permission, "CONTROL"}
    for implied in _IMPLIED_BY.get(permission, ()):
        found.add(implied)
    return frozenset(found)


def visible(catalog: Catalog, principal: str, target: Table | View) -> bool:
    """Metadata visibility: an object is seen by those with any permission on it."""
    return any(allowed(catalog, principal, permission, target) for permission in OBJECT_PERMISSIONS)
