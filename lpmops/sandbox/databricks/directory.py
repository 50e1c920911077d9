"""Who the workspace knows: people, applications and their groups, as SCIM 2.0 gives them.

Documents: databricks-sdk 0.156 `iam.User` and `iam.ServicePrincipal`. Everybody is in the group `users`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.databricks.calls import Answer, Call, Handler
from lpmops.sandbox.databricks.errors import invalid

_NAMES = uuid.UUID("00000000-0000-4000-8000-0000000000db")
_SCIM = "/api/2.0/preview/scim/v2"
_FILTER = re.compile(r'(userName|applicationId) eq "((?:[^"\\]|\\.)*)"')


class Directory:
    """Groups by name of a person (a mail address) or an application (its id)."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self._groups = dict(groups)

    def groups_of(self, principal: Principal) -> frozenset[str]:
        """The groups of one who asks."""
        return frozenset(self._groups.get(principal.name, ("users",)))

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Who asks, and finding others."""
        return [
            ("GET", f"{_SCIM}/Me", self._me),
            ("GET", f"{_SCIM}/Users", self._find),
            ("GET", f"{_SCIM}/ServicePrincipals", self._find),
        ]

    def _me(self, call: Call) -> Answer:
        principal = call.principal
        name = principal.name if principal.kind == "User" else principal.client_id or principal.name
        found = _resource(name, self.groups_of(principal), external=principal.id)
        return Answer({**found, "userName": name, "displayName": principal.name})

    def _find(self, call: Call) -> Answer:
        wanted = call.query.get("filter", "")
        given = _FILTER.fullmatch(wanted)
        if wanted and given is None:
            raise invalid(f"Given filter is not supported: {wanted}")
        people = call.path.endswith("Users")
        names = [name for name in self._groups if ("@" in name) == people]
        found = [name for name in names if given is None or name.lower() == given.group(2).lower()]
        # SCIM counts from 1; a page beyond the end is an empty one, by which clients know that there is no more.
        start, count = call.number("startIndex", 1, 1, 10**6), call.number("count", 100, 0, 10**4)
        page = found[start - 1 :][:count]
        listed = {"totalResults": len(found), "startIndex": start, "itemsPerPage": len(page)}
        return Answer({**listed, "Resources": [_resource(name, self._groups[name]) for name in page]})


def _resource(name: str, groups: Sequence[str] | frozenset[str], external: str = "") -> dict[str, Any]:
    kind = "User" if "@" in name else "ServicePrincipal"
    return {
        "schemas": [f"urn:ietf:params:scim:schemas:core:2.0:{kind}"],
        "id": str(uuid.uuid5(_NAMES, external or name).int % 10**16),
        ("userName" if kind == "User" else "applicationId"): name,
        "displayName": name,
        **({"externalId": external} if external else {}),
        "active": True,
        "groups": [{"display": group, "type": "direct", "value": _number(group)} for group in sorted(groups)],
    }


def _number(group: str) -> str:
    return "100001" if group == "users" else str(uuid.uuid5(_NAMES, group).int % 10**12)
