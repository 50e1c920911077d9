"""The rest of Resource Manager that the product reads: tenants, subscriptions, groups, SQL and workspaces, rights, diagnostic settings,
the activity log.

Nothing here changes a resource; only role assignments and diagnostic settings can be written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.access import ROLES, RoleAssignment
from lpmops.sandbox.azure.account import Account, GenericResource, ResourceGroup, Subscription
from lpmops.sandbox.azure.calls import Answer, Call, Operation
from lpmops.sandbox.azure.diagnostic_settings import CATEGORIES, type_of
from lpmops.sandbox.azure.errors import arm_error, not_found
from lpmops.sandbox.azure.stamps import ticks

_RESOURCES = frozenset({
    "2016-06-01", "2018-05-01", "2019-05-01", "2019-06-01", "2019-10-01", "2020-01-01", "2020-06-01", "2020-10-01", "2021-01-01", "2021-04-01",
    "2022-09-01", "2022-12-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01", "2025-04-01",
})  # fmt: skip
_SQL = frozenset({
    "2020-11-01-preview", "2021-11-01", "2022-05-01-preview", "2023-05-01-preview", "2023-08-01", "2023-08-01-preview", "2024-05-01-preview",
})  # fmt: skip
_WORKSPACES = frozenset({"2020-08-01", "2021-06-01", "2022-10-01", "2023-09-01", "2025-02-01", "2025-07-01"})
_CONNECTORS = frozenset({"2022-04-01-preview", "2023-05-01", "2024-05-01"})
_ROLES = frozenset({"2015-07-01", "2018-01-01-preview", "2018-07-01", "2020-04-01-preview", "2022-04-01"})
_ACTIVITY = frozenset({"2014-04-01", "2015-04-01"})
_SETTINGS = frozenset({"2017-05-01-preview", "2021-05-01-preview"})
_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_SERVERS = f"{_GROUP}/providers/Microsoft.Sql/servers"
_WORKSPACE = f"{_GROUP}/providers/Microsoft.OperationalInsights/workspaces"
_AUTHORIZATION = "{+scope}/providers/Microsoft.Authorization"
_INSIGHTS = "{+resource}/providers/Microsoft.Insights"
_CATEGORIES = f"{_INSIGHTS}/diagnosticSettingsCategories"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FILTER = re.compile(
    r"\s*(atScope\(\)|principalId eq '[^']*'|assignedTo\('[^']*'\))\s*(and\s+atScope\(\)\s*)?", re.IGNORECASE
)


def resource_operations(account: Account) -> list[Operation]:
    """Tenants, subscriptions, groups, SQL, workspaces, authorization and diagnostic settings."""
    shown, rights, settings = ResourceRoutes(account), AccessRoutes(account), SettingRoutes(account)
    return [
        Operation("GET", "/tenants", "Microsoft.Resources/tenants/read", _RESOURCES, shown.tenants),
        Operation("GET", "/subscriptions", "Microsoft.Resources/subscriptions/read", _RESOURCES, shown.subscriptions),
        Operation("GET", _SUBSCRIPTION, "Microsoft.Resources/subscriptions/read", _RESOURCES, shown.subscription),
        Operation(
            "GET",
            f"{_SUBSCRIPTION}/resourceGroups",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            _RESOURCES,
            shown.groups,
        ),
        Operation("GET", _GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", _RESOURCES, shown.group),
        Operation(
            "GET",
            f"{_SUBSCRIPTION}/providers/Microsoft.Insights/eventtypes/management/values",
            "Microsoft.Insights/eventtypes/values/read",
            _ACTIVITY,
            account.activity.list,
        ),
        Operation(
            "GET",
            f"{_GROUP}/resources",
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
            _RESOURCES,
            shown.resources,
        ),
        Operation(
            "GET",
            f"{_SUBSCRIPTION}/providers/Microsoft.Sql/servers",
            "Microsoft.Sql/servers/read",
            _SQL,
            shown.list_servers,
        ),
        Operation("GET", _SERVERS, "Microsoft.Sql/servers/read", _SQL, shown.list_servers),
        Operation("GET", f"{_SERVERS}/{{server}}", "Microsoft.Sql/servers/read", _SQL, shown.server),
        Operation(
            "GET",
            f"{_SERVERS}/{{server}}/databases",
            "Microsoft.Sql/servers/databases/read",
            _SQL,
            shown.list_databases,
        ),
        Operation(
            "GET",
            f"{_SERVERS}/{{server}}/databases/{{database}}",
            "Microsoft.Sql/servers/databases/read",
            _SQL,
            shown.database,
        ),
        Operation(
            "GET", _WORKSPACE, "Microsoft.OperationalInsights/workspaces/read", _WORKSPACES, shown.list_workspaces
        ),
        Operation(
            "GET",
            f"{_GROUP}/providers/Microsoft.Databricks/accessConnectors/{{connector}}",
            "Microsoft.Databricks/accessConnectors/read",
            _CONNECTORS,
            shown.connector,
        ),
        Operation(
            "GET",
            f"{_WORKSPACE}/{{workspace}}",
            "Microsoft.OperationalInsights/workspaces/read",
            _WORKSPACES,
            shown.workspace,
        ),
        Operation(
            "GET",
            f"{_AUTHORIZATION}/roleAssignments",
            "Microsoft.Authorization/roleAssignments/read",
            _ROLES,
            rights.assignments,
        ),
        Operation(
            "GET",
            f"{_AUTHORIZATION}/roleAssignments/{{name}}",
            "Microsoft.Authorization/roleAssignments/read",
            _ROLES,
            rights.assignment,
        ),
        Operation(
            "PUT",
            f"{_AUTHORIZATION}/roleAssignments/{{name}}",
            "Microsoft.Authorization/roleAssignments/write",
            _ROLES,
            rights.assign,
        ),
        Operation(
            "DELETE",
            f"{_AUTHORIZATION}/roleAssignments/{{name}}",
            "Microsoft.Authorization/roleAssignments/delete",
            _ROLES,
            rights.remove,
        ),
        Operation(
            "GET",
            f"{_AUTHORIZATION}/roleDefinitions",
            "Microsoft.Authorization/roleDefinitions/read",
            _ROLES,
            rights.roles,
        ),
        Operation(
            "GET",
            f"{_AUTHORIZATION}/roleDefinitions/{{name}}",
            "Microsoft.Authorization/roleDefinitions/read",
            _ROLES,
            rights.role,
        ),
        Operation(
            "GET",
            f"{_AUTHORIZATION}/permissions",
            "Microsoft.Authorization/permissions/read",
            _ROLES,
            rights.permissions,
        ),
        Operation(
            "GET",
            f"{_INSIGHTS}/diagnosticSettings",
            "Microsoft.Insights/diagnosticSettings/read",
            _SETTINGS,
            settings.list_all,
        ),
        Operation(
            "GET",
            f"{_INSIGHTS}/diagnosticSettings/{{name}}",
            "Microsoft.Insights/diagnosticSettings/read",
            _SETTINGS,
            settings.get,
        ),
        Operation(
            "PUT",
            f"{_INSIGHTS}/diagnosticSettings/{{name}}",
            "Microsoft.Insights/diagnosticSettings/write",
            _SETTINGS,
            settings.put,
        ),
        Operation(
            "DELETE",
            f"{_INSIGHTS}/diagnosticSettings/{{name}}",
            "Microsoft.Insights/diagnosticSettings/delete",
            _SETTINGS,
            settings.delete,
        ),
        Operation("GET", _CATEGORIES, "Microsoft.Insights/diagnosticSettings/read", _SETTINGS, settings.categories),
        Operation(
            "GET", f"{_CATEGORIES}/{{name}}", "Microsoft.Insights/diagnosticSettings/read", _SETTINGS, settings.category
        ),
    ]


class ResourceRoutes:
    """What is there."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def tenants(self, call: Call) -> Answer:
        """The one tenant."""
        del call
        tenant = self._account.authority.tenant_id
        value = {
            "id": f"/tenants/{tenant}",
            "tenantId": tenant,
            "displayName": "lpm",
            "defaultDomain": "lpm.example",
            "tenantCategory": "Home",
        }
        return Answer({"value": [value]})

    def subscriptions(self, call: Call) -> Answer:
        """All subscriptions of the account."""
        del call
        value = [self._subscription(each) for each in self._account.subscriptions.values()]
        return Answer({"value": value, "count": {"type": "Total", "value": len(value)}})

    def subscription(self, call: Call) -> Answer:
        """One subscription."""
        return Answer(self._subscription(self._account.subscriptions[call.subscription]))

    def groups(self, call: Call) -> Answer:
        """Resource groups."""
        return Answer({"value": [_group(call.subscription, each) for each in self._account.groups(call.subscription)]})

    def group(self, call: Call) -> Answer:
        """One resource group."""
        return Answer(_group(call.subscription, self._group(call)))

    def resources(self, call: Call) -> Answer:
        """Everything in a group."""
        return Answer({"value": self._account.all_resources(call.subscription, self._group(call).name)})

    def list_servers(self, call: Call) -> Answer:
        """Logical SQL servers of a group, or of the subscription."""
        group = f"/resourceGroups/{call.names['group']}" if "group" in call.names else ""
        found = self._account.resources(f"/subscriptions/{call.subscription}{group}", "Microsoft.Sql/servers")
        return Answer({"value": [_shown(each) for each in found]})

    def server(self, call: Call) -> Answer:
        """One logical SQL server."""
        return Answer(_shown(self._one(call, "Microsoft.Sql/servers", call.names["server"])))

    def list_databases(self, call: Call) -> Answer:
        """The databases of a server."""
        server = self._one(call, "Microsoft.Sql/servers", call.names["server"])
        return Answer(
            {"value": [_shown(each) for each in self._account.resources(server.id, "Microsoft.Sql/servers/databases")]}
        )

    def database(self, call: Call) -> Answer:
        """One database; asking here never wakes a paused one."""
        name = f"{call.names['server']}/{call.names['database']}"
        return Answer(_shown(self._one(call, "Microsoft.Sql/servers/databases", name)))

    def list_workspaces(self, call: Call) -> Answer:
        """Log Analytics workspaces."""
        start = f"/subscriptions/{call.subscription}/resourceGroups/{call.names['group']}"
        return Answer(
            {
                "value": [
                    _shown(each) for each in self._account.resources(start, "Microsoft.OperationalInsights/workspaces")
                ]
            }
        )

    def workspace(self, call: Call) -> Answer:
        """One workspace; `customerId` is what queries name."""
        return Answer(_shown(self._one(call, "Microsoft.OperationalInsights/workspaces", call.names["workspace"])))

    def connector(self, call: Call) -> Answer:
        """An access connector of Databricks, with the identity behind it."""
        return Answer(_shown(self._one(call, "Microsoft.Databricks/accessConnectors", call.names["connector"])))

    def _subscription(self, each: Subscription) -> dict[str, Any]:
        tenant = self._account.authority.tenant_id
        return {
            "id": f"/subscriptions/{each.id}",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionId": each.id,
            "tenantId": tenant,
            "displayName": each.name,
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "EnterpriseAgreement_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    def _group(self, call: Call) -> ResourceGroup:
        group = self._account.group(call.subscription, call.names["group"])
        if group is None:
            raise arm_error(404, "ResourceGroupNotFound", f"Resource group '{call.names['group']}' could not be found.")
        return group

    def _one(self, call: Call, kind: str, name: str) -> GenericResource:
        path = "/".join(f"{k}/{n}" for k, n in zip(kind.split("/")[1:], name.split("/"), strict=True))
        start = (
            f"/subscriptions/{call.subscription}/resourceGroups/{call.names['group']}/providers/{kind.split('/')[0]}"
        )
        found = self._account.resource(f"{start}/{path}")
        if found is None:
            raise not_found(kind, name, call.names["group"])
        return found


class AccessRoutes:
    """Who has which role."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def assignments(self, call: Call) -> Answer:
        """Assignments at a scope; $filter is `atScope()`, `principalId eq '...'` or `assignedTo('...')`."""
        wanted = call.query.get("$filter", "")
        if wanted and not _FILTER.fullmatch(wanted):
            message = f"The filter '{wanted}' is not supported. Supported filters are either 'atScope()' or 'principalId eq ...'."
            raise arm_error(400, "UnsupportedQuery", message)
        found = self._account.access.at(call.names["scope"], "atscope()" in wanted.lower())
        principal = re.search(r"'([^']*)'", wanted)
        value = [_assignment(each) for each in found if not principal or each.principal_id == principal.group(1)]
        return Answer({"value": value})

    def assignment(self, call: Call) -> Answer:
        """One assignment."""
        found = self._account.access.find(call.names["name"])
        if found is None:
            raise arm_error(404, "RoleAssignmentNotFound", f"The role assignment '{call.names['name']}' is not found.")
        return Answer(_assignment(found))

    def assign(self, call: Call) -> Answer:
        """Give a role: 201, or 409 when it is held already."""
        wished = call.object_body().get("properties") or {}
        role, principal = str(wished.get("roleDefinitionId", "")).rpartition("/")[2], wished.get("principalId")
        if role not in ROLES:
            raise arm_error(
                400, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{role}' does not exist."
            )
        if not isinstance(principal, str) or not principal:
            raise arm_error(400, "InvalidPrincipalId", "A valid principal ID must be provided for role assignment.")
        if not _GUID.fullmatch(call.names["name"]):
            raise arm_error(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{call.names['name']}' is not valid. It must be a GUID.",
            )
        kind = str(wished.get("principalType") or "ServicePrincipal")
        held = self._account.access.find(call.names["name"])
        if held is not None and (held.role, held.principal_id) != (role, principal):
            message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
            raise arm_error(400, "RoleAssignmentUpdateNotPermitted", message)
        now = ticks(self._account.clock.now())
        made = self._account.access.assign(call.names["scope"], role, principal, kind, now, call.names["name"])
        if made.name != call.names["name"]:
            raise arm_error(409, "RoleAssignmentExists", "The role assignment already exists.")
        return Answer(_assignment(made), 201)

    def remove(self, call: Call) -> Answer:
        """Take a role away: 200, or 204 when it was not held."""
        removed = self._account.access.remove(call.names["name"])
        return Answer(_assignment(removed)) if removed else Answer(None, 204)

    def roles(self, call: Call) -> Answer:
        """The built-in roles the sandbox knows; $filter `roleName eq '...'`."""
        wanted = re.search(r"roleName eq '([^']*)'", call.query.get("$filter", ""))
        value = [_role(guid) for guid, role in ROLES.items() if not wanted or role.name == wanted.group(1)]
        return Answer({"value": value})

    def role(self, call: Call) -> Answer:
        """One role."""
        if call.names["name"] not in ROLES:
            raise arm_error(
                404,
                "RoleDefinitionDoesNotExist",
                f"The specified role definition with ID '{call.names['name']}' does not exist.",
            )
        return Answer(_role(call.names["name"]))

    def permissions(self, call: Call) -> Answer:
        """What the caller may do here: what its roles allow, or everything, but what was taken away."""
        scope = call.names["scope"]
        denied = self._account.authority.denied_actions(call.principal, scope)
        roles = self._account.access.granted(call.principal.id, scope)
        if roles is None:
            value = [{"actions": ["*"], "notActions": denied, "dataActions": [], "notDataActions": []}]
        else:
            value = [
                {
                    "actions": list(role.actions),
                    "notActions": [*role.not_actions, *denied],
                    "dataActions": list(role.data_actions),
                    "notDataActions": [],
                }
                for role in roles
            ]
        return Answer({"value": value, "nextLink": None})


class SettingRoutes:
    """Diagnostic settings of any resource."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def list_all(self, call: Call) -> Answer:
        """All settings of a resource."""
        resource = self._resource(call)
        return Answer({"value": [_setting(each) for each in self._account.diagnostics.of(resource)]})

    def get(self, call: Call) -> Answer:
        """One setting."""
        found = self._account.diagnostics.get(self._resource(call), call.names["name"])
        if found is None:
            message = f"The diagnostic setting '{call.names['name']}' doesn't exist."  # assumed: the wording
            raise arm_error(404, "ResourceNotFound", message)
        return Answer(_setting(found))

    def put(self, call: Call) -> Answer:
        """Create or replace a setting. Raises 400 for a category the resource does not have, or no destination."""
        resource = self._resource(call)
        properties = call.object_body().get("properties") or {}
        known, _ = CATEGORIES[type_of(resource)]
        for log in properties.get("logs") or []:
            if log.get("category") is not None and log["category"] not in known:
                raise arm_error(
                    400, "BadRequest", f"Category '{log['category']}' is not supported."
                )  # assumed: the code
        if not any(properties.get(name) for name in ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId")):
            raise arm_error(400, "BadRequest", "At least one data sink needs to be specified.")
        self._refuse_a_second_way(resource, call.names["name"], properties)
        return Answer(_setting(self._account.diagnostics.put(resource, call.names["name"], properties)))

    def _refuse_a_second_way(self, resource: str, name: str, properties: Mapping[str, Any]) -> None:
        """A category goes to a destination by one setting (seen in bicep-registry-modules#3407)."""
        sink = str(properties.get("workspaceId") or "")
        wished = {log.get("category") for log in properties.get("logs") or [] if log.get("enabled")} - {None}
        for other in self._account.diagnostics.of(resource):
            held = other["properties"]
            same = str(held.get("workspaceId") or "").lower() == sink.lower() and other["name"].lower() != name.lower()
            twice = wished & {log.get("category") for log in held.get("logs") or [] if log.get("enabled")}
            if sink and same and twice:
                message = (
                    f"Data sink '{sink}' is already used in diagnostic setting '{other['name']}' for category '{min(twice)}'. "
                    "Data sinks can't be reused in different settings on the same category for the same resource."
                )
                raise arm_error(409, "Conflict", message)

    def delete(self, call: Call) -> Answer:
        """200, or 204 when there was none."""
        return Answer(None, 200 if self._account.diagnostics.delete(self._resource(call), call.names["name"]) else 204)

    def categories(self, call: Call) -> Answer:
        """What a resource can log."""
        return Answer({"value": self._categories(call)})

    def category(self, call: Call) -> Answer:
        """One of them."""
        for each in self._categories(call):
            if str(each["name"]).lower() == call.names["name"].lower():
                return Answer(each)
        raise arm_error(
            404, "ResourceNotFound", f"Category '{call.names['name']}' is not supported."
        )  # assumed: the wording

    def _categories(self, call: Call) -> list[dict[str, Any]]:
        resource = self._resource(call)
        logs, metrics = CATEGORIES[type_of(resource)]
        return [
            _category(resource, name, kind) for names, kind in ((logs, "Logs"), (metrics, "Metrics")) for name in names
        ]

    def _resource(self, call: Call) -> str:
        resource = call.names["resource"]
        if type_of(resource) not in CATEGORIES:
            raise arm_error(
                400,
                "ResourceTypeNotSupported",
                f"The resource type '{type_of(resource)}' does not support diagnostic settings.",
            )
        if self._account.location_of(resource) is None:
            raise not_found(type_of(resource), resource.rpartition("/")[2], call.names.get("group", ""))
        return resource


def _group(subscription: str, group: ResourceGroup) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription}/resourceGroups/{group.name}",
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "tags": dict(group.tags),
        "properties": {"provisioningState": "Succeeded"},
    }


def _shown(resource: GenericResource) -> dict[str, Any]:
    head = {"id": resource.id, "name": resource.own_name, "type": resource.type, "location": resource.location}
    return {**head, **resource.extra, "properties": dict(resource.properties())}


def _assignment(each: RoleAssignment) -> dict[str, Any]:
    return {
        "id": each.id,
        "type": "Microsoft.Authorization/roleAssignments",
        "name": each.name,
        "properties": {
            "roleDefinitionId": _role(each.role)["id"],
            "principalId": each.principal_id,
            "principalType": each.principal_type,
            "scope": each.scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": each.created_on,
            "updatedOn": each.created_on,
            "createdBy": None,
            "updatedBy": None,
        },
    }


def _role(role: str) -> dict[str, Any]:
    known = ROLES[role]
    return {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role,
        "properties": {
            "roleName": known.name,
            "type": "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": list(known.actions),
                    "notActions": list(known.not_actions),
                    "dataActions": list(known.data_actions),
                    "notDataActions": [],
                }
            ],
        },
    }


def _setting(document: Mapping[str, Any]) -> dict[str, Any]:
    """As recorded: the resource in lower case, what was not sent as null."""
    wished = document["properties"]
    names = ("storageAccountId", "serviceBusRuleId", "workspaceId", "eventHubAuthorizationRuleId", "eventHubName")
    off = {"enabled": False, "days": 0}
    properties = {
        **{name: wished.get(name) for name in names},
        "metrics": wished.get("metrics") or [],
        "logs": [
            {"category": None, "categoryGroup": None, "retentionPolicy": off, **log} for log in wished.get("logs") or []
        ],
        "logAnalyticsDestinationType": wished.get("logAnalyticsDestinationType"),
    }
    head = _outline(document["resource_id"], "diagnosticSettings", document["name"])
    return {**head, "type": "Microsoft.Insights/diagnosticSettings", "properties": properties, "identity": None}


def _category(resource: str, name: str, kind: str) -> dict[str, Any]:
    head = _outline(resource, "diagnosticSettingsCategories", name)
    return {
        **head,
        "type": "microsoft.insights/diagnosticSettingsCategories",
        "properties": {"categoryType": kind},
        "identity": None,
    }


def _outline(resource: str, kind: str, name: str) -> dict[str, Any]:
    below = f"/{resource.strip('/').lower()}/providers/microsoft.insights/{kind}/{name}"
    return {"id": below, "name": name, "location": None, "kind": None, "tags": None}
