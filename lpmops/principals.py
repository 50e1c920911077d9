"""Who somebody is and what they were given, as each service reads it: values, free of I/O and of any rule.

A principal has an object id in the directory and a name in each service. What a service gives it is read as that service tells it: role
assignments with what their role allows, privileges on a securable, levels on a job, and users, roles and permissions of a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The levels on a job or a warehouse of Databricks, from least to most.
LEVELS = ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER")


def rank(level: str) -> int:
    """How much a level allows, as a number to compare; one that is not known counts as the least."""
    return LEVELS.index(level) if level in LEVELS else -1


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, an application or a managed identity. `id` is its object id, empty where nobody says it; `groups` None where they are not known."""

    name: str
    id: str = ""
    kind: str = ""
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """An Azure role: what it allows on resources and, as data actions, on what is in them; with `*` as Azure writes them."""

    id: str
    name: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that a principal holds at a scope and below it, itself or through a group."""

    id: str
    scope: str
    role: Role
    principal_id: str


@dataclass(frozen=True, slots=True)
class Securable:
    """A thing of Unity Catalog: its owner, and the privileges that hold on it by principal, inherited ones too."""

    kind: str
    name: str
    owner: str
    privileges: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatabasePermission:
    """A permission of a database: `state` is GRANT or DENY, `scope` database, schema or object, `securable` its name (`schema.object`)."""

    permission: str
    state: str
    scope: str
    securable: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseRights:
    """A database's users, the roles that each has (through roles as well), and what was granted or denied to users and roles, names in lower case."""

    users: frozenset[str]
    roles: Mapping[str, frozenset[str]]
    permissions: Mapping[str, tuple[DatabasePermission, ...]]
