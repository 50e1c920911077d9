"""Who may do what in a Databricks workspace: privileges of Unity Catalog (2.1), levels on jobs and warehouses, and who somebody is there (SCIM 2.0).

Unity Catalog names people by mail address, applications by application id and groups by name; what is given to a group counts for its members, and
the service does not say so itself. Reads only what it is asked for, one securable at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.model import Receipt
from lpmops.principals import Principal, Securable, rank
from lpmops.services.answers import Fields
from lpmops.services.bounded import Deadline
from lpmops.services.databricks import SCOPE
from lpmops.services.identity import CachedCredential
from lpmops.services.transport import Transport

_CATALOG = "/api/2.1/unity-catalog"
_SCIM = "/api/2.0/preview/scim/v2"
_PLURAL = {
    "catalog": "catalogs",
    "schema": "schemas",
    "table": "tables",
    "volume": "volumes",
    "credential": "credentials",
}
_PAGES = 50


@dataclass(frozen=True, slots=True)
class ServiceCredential:
    """A service credential: the access connector behind it and, where it is not the connector's own, the user-assigned identity, as resource ids."""

    connector: str
    identity: str = ""


class UnityService:
    """One workspace and its metastore."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        self._client = transport.client(
            "databricks",
            environment.databricks.host,
            credential=credential,
            scope=SCOPE,
            advice=credential.advice("USE on what is asked about, or its ownership"),
        )
        self._orders = transport.client(
            "databricks",
            environment.databricks.host,
            credential=credential,
            scope=SCOPE,
            advice=credential.advice("MANAGE on what is granted, or its ownership"),
        )

    def me(self) -> Principal:
        """Who asks, with the groups that the workspace knows of. Raises ServiceError types."""
        fields = self._client.get(f"{_SCIM}/Me", operation="me", deadline=Deadline.after(self._seconds)).fields()
        return Principal(fields.text("userName"), fields.maybe_text("externalId") or "", "", _groups(fields))

    def principal(self, name: str) -> Principal:
        """A person (by mail address) or an application (by its id) with its groups; groups None where the workspace does not show it."""
        is_person = "@" in name
        kind, attribute = ("Users", "userName") if is_person else ("ServicePrincipals", "applicationId")
        answer = self._client.get(
            f"{_SCIM}/{kind}",
            operation="principal",
            deadline=Deadline.after(self._seconds),
            # JSON's quoting is that of a SCIM filter.
            params={"filter": f"{attribute} eq {json.dumps(name)}"},
        )
        found = answer.fields().objects("Resources")
        if not found:
            return Principal(name, "", "User" if is_person else "ServicePrincipal", None)
        external = found[0].maybe_text("externalId") or ""
        return Principal(name, external, "User" if is_person else "ServicePrincipal", _groups(found[0]))

    def securable(self, kind: str, name: str) -> Securable:
        """A catalog, schema, table, volume or credential with everything that holds on it. Raises ServiceNotFoundError, ForbiddenError."""
        deadline = Deadline.after(self._seconds)
        path = f"{_CATALOG}/{_PLURAL[kind]}/{quote(name, safe='.')}"
        owner = self._client.get(path, operation=kind, deadline=deadline).fields().maybe_text("owner") or ""
        held: dict[str, set[str]] = {}
        parameters: dict[str, str] = {}
        for _ in range(_PAGES):
            page = self._client.get(
                f"{_CATALOG}/effective-permissions/{kind}/{quote(name, safe='.')}",
                operation="privileges",
                deadline=deadline,
                params=parameters,
            ).fields()
            for entry in page.objects("privilege_assignments"):
                rights = held.setdefault(entry.text("principal"), set())
                rights |= {item.maybe_text("privilege") or "" for item in entry.objects("privileges")}
            following = page.maybe_text("next_page_token")
            if not following:
                break
            parameters = {"page_token": following}
        else:
            # Who was not read yet would pass for one who lacks it.
            page.refuse("next_page_token", "last page")
        return Securable(kind, name, owner, {who: frozenset(rights) for who, rights in held.items()})

    def service_credential(self, name: str) -> ServiceCredential:
        """What stands behind a service credential. Raises ServiceNotFoundError, ForbiddenError."""
        fields = self._client.get(
            f"{_CATALOG}/credentials/{quote(name, safe='')}",
            operation="credential",
            deadline=Deadline.after(self._seconds),
        ).fields()
        behind = fields.object("azure_managed_identity")
        return ServiceCredential(
            behind.maybe_text("access_connector_id") or "", behind.maybe_text("managed_identity_id") or ""
        )

    def grant(self, kind: str, name: str, principal: str, privilege: str) -> Receipt:
        """Give one privilege on a securable, beside those that there are."""
        answer = self._orders.write(
            "PATCH",
            f"{_CATALOG}/permissions/{kind}/{quote(name, safe='.')}",
            {"changes": [{"principal": principal, "add": [privilege]}]},
            operation="grant",
            deadline=Deadline.after(self._seconds),
        )
        return Receipt(answer.request_id)

    def levels(self, kind: str, identifier: str) -> Mapping[str, str]:
        """Who has which level on a job or a warehouse (`kind` is jobs or warehouses): the highest that is shown, by name."""
        answer = self._client.get(
            f"/api/2.0/permissions/{kind}/{quote(identifier, safe='')}",
            operation="permissions",
            deadline=Deadline.after(self._seconds),
        )
        found: dict[str, str] = {}
        for entry in answer.fields().objects("access_control_list"):
            names = (entry.maybe_text(each) for each in ("group_name", "user_name", "service_principal_name"))
            levels = [item.maybe_text("permission_level") or "" for item in entry.objects("all_permissions")]
            name = next((each for each in names if each), "")
            if name and levels:
                found[name] = max(levels, key=rank)
        return found

    def permit(self, kind: str, identifier: str, principal: Principal, level: str) -> Receipt:
        """Give a level on a job or a warehouse, beside those that there are. `principal.kind` is User, ServicePrincipal or Group."""
        key = {"Group": "group_name", "User": "user_name"}.get(principal.kind, "service_principal_name")
        answer = self._orders.write(
            "PATCH",
            f"/api/2.0/permissions/{kind}/{quote(identifier, safe='')}",
            {"access_control_list": [{key: principal.name, "permission_level": level}]},
            operation="permit",
            deadline=Deadline.after(self._seconds),
        )
        return Receipt(answer.request_id)

    def run_as(self, job_id: str) -> str:
        """As whom a job runs: a mail address or an application id; empty where the service does not say."""
        fields = self._client.get(
            "/api/2.2/jobs/get",
            operation="job",
            deadline=Deadline.after(self._seconds),
            params={"job_id": job_id},
        ).fields()
        wished = fields.object("settings").object("run_as")
        given = wished.maybe_text("service_principal_name") or wished.maybe_text("user_name")
        return given or fields.maybe_text("run_as_user_name") or ""


def _groups(fields: Fields) -> tuple[str, ...]:
    names = (group.maybe_text("display") for group in fields.objects("groups"))
    return tuple(name for name in names if name)
