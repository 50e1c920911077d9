"""One request and its answer, and the table of operations a dispatcher looks them up in.

A handler is a function from `Call` to `Answer`; it raises ApiError to refuse. Paths are matched without case, as Resource Manager does. The
dispatcher checks, in Resource Manager's order: token, throttle, subscription, api-version, type, right, resource group, body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lpmops.sandbox.azure.errors import ApiError, arm_error, invalid_content
from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.http_parts import path_pattern, strict_json


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a handler sees it: path parts by name, query and headers with lower-case names, `body` parsed or None."""

    method: str
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    principal: Principal
    origin: str

    @property
    def subscription(self) -> str:
        """The subscription in the path, in lower case."""
        return self.names.get("subscription", "").lower()

    @property
    def api_version(self) -> str:
        """What the client asked for."""
        return self.query.get("api-version", "")

    def object_body(self) -> dict[str, Any]:
        """The body when it must be a JSON object. Raises a 400."""
        if not isinstance(self.body, dict):
            raise invalid_content("the body must be a JSON object")
        return self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; a `body` of None is no body at all."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a service can do: `action` is the right it needs, `versions` the api-versions it is answered in (none: it has no versions)."""

    method: str
    template: str
    action: str
    versions: frozenset[str]
    handler: Handler

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parts by name, or None when it is another path."""
        found = _pattern(self.template).fullmatch(path)
        return found.groupdict() if found else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return path_pattern(template, ".+?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """The operation a request names, and the parts of its path."""

    operation: Operation
    names: dict[str, str]


class OperationTable:
    """Operations by method and path; the first that fits wins, so list the narrow ones first."""

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations
        self.providers = {p.lower() for o in operations for p in re.findall(r"providers/([\w.]+)", o.template)}

    def find(self, method: str, path: str, api_version: str) -> Found:
        """The operation for a request. Raises Resource Manager's refusals for what it does not know."""
        fitting = [(o, names) for o in self._operations if (names := o.match(path)) is not None]
        if not fitting:
            raise self._unknown(path, api_version)
        with_method = [(o, names) for o, names in fitting if o.method == method]
        if not with_method:
            allowed = ", ".join(sorted({o.method for o, _ in fitting}))
            raise arm_error(
                405,
                "MethodNotAllowed",
                f"The requested resource does not support http method '{method}'.",
                {"Allow": allowed},
            )
        if not with_method[0][0].versions:
            return Found(*with_method[0])
        if not api_version:
            raise arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        for operation, names in with_method:
            if api_version.lower() in operation.versions:
                return Found(operation, names)
        raise _unsupported_version(path, api_version, sorted(with_method[0][0].versions))

    def _unknown(self, path: str, api_version: str) -> ApiError:
        providers = re.findall(r"/providers/([^/]+)(?:/([^/]+))?", path, re.IGNORECASE)
        if not providers:
            return arm_error(
                404, "InvalidResourcePath", f"The request path '{path}' is not known to Azure Resource Manager."
            )  # assumed
        namespace, kind = providers[-1]
        if namespace.lower() not in self.providers:
            return arm_error(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        message = f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{api_version}'."
        return arm_error(404, "InvalidResourceType", message)


def _unsupported_version(path: str, api_version: str, supported: list[str]) -> ApiError:
    found = re.findall(r"/providers/([^/]+)/([^/]+)", path, re.IGNORECASE)
    if found:
        message = (
            f"No registered resource provider found for location 'westeurope' and API version '{api_version}' for type "
            f"'{found[-1][1]}'. The supported api-versions are '{', '.join(supported)}'. The supported locations are 'westeurope'."
        )
        return arm_error(400, "NoRegisteredProviderFound", message)
    message = f"The api-version '{api_version}' is invalid. The supported versions are '{','.join(supported)}'."
    return arm_error(400, "InvalidApiVersionParameter", message)


def parse_body(raw: bytes) -> Any:
    """A request's JSON, None when there is none. Raises a 400 that says where it breaks."""
    if not raw.strip():
        return None
    try:
        return strict_json(raw)
    except ValueError as error:
        raise invalid_content(str(error)) from error
