"""Every way Azure says no: the status and the exact body each service uses for it.

Resource Manager and Event Hubs wrap `{"error": {...}}`, Stream Analytics and Monitor do not, Log Analytics nests `innererror`. A handler raises one
of these; only the dispatcher turns them into answers. Where no recording or document shows the answer the place says "assumed".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.sandbox.azure.stamps import new_guid


class ApiError(Exception):
    """An answer that is a refusal: HTTP status, JSON body, extra headers."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def arm_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Resource Manager's own shape."""
    return ApiError(status, {"error": {"code": code, "message": message}}, headers)


def not_found(resource_type: str, name: str, group: str) -> ApiError:
    """A top-level resource that does not exist, in Resource Manager's words."""
    message = (
        f"The Resource '{resource_type}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return arm_error(404, "ResourceNotFound", message)


def group_not_found(group: str) -> ApiError:
    """A resource group that does not exist."""
    return arm_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def invalid_content(reason: str) -> ApiError:
    """A body that is no JSON object."""
    message = f"The request content was invalid and could not be deserialized: '{reason}'."
    return arm_error(400, "InvalidRequestContent", message)


def forbidden(client: str, object_id: str, action: str, scope: str) -> ApiError:
    """The right to do this is missing."""
    message = (
        f"The client '{client}' with object id '{object_id}' does not have authorization to perform action '{action}' over scope "
        f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    )
    return arm_error(403, "AuthorizationFailed", message)


def unauthenticated(code: str, message: str, authority: str) -> ApiError:
    """No token, or one that is not accepted; the header tells a client where to sign in."""
    challenge = f'Bearer authorization_uri="{authority}", error="invalid_token", error_description="{message}"'
    return arm_error(401, code, message, {"WWW-Authenticate": challenge})


def throttled(kind: str, subscription: str, actor: str, retry_after: int) -> ApiError:
    """Out of tokens. Text as seen in velero#9171."""
    message = (
        f"Number of '{kind}' requests for subscription '{subscription}' actor '{actor}' exceeded. Please try again after '{retry_after}' "
        "seconds after additional tokens are available. Refer to https://aka.ms/arm-throttling for additional information."
    )
    return arm_error(429, "SubscriptionRequestsThrottled", message, {"Retry-After": str(retry_after)})


def event_hubs_error(status: int, code: str, message: str) -> ApiError:
    """Event Hubs' resource provider puts the message first and adds its tracking id."""
    return ApiError(status, {"error": {"message": f"{message} CorrelationId: {new_guid()}", "code": code}})


def stream_analytics_error(status: int, code: str, message: str) -> ApiError:
    """Stream Analytics' own shape: no `error` wrapper and details that are an object (mwt-ds#25, pcs-cli#350)."""
    details = {"code": str(status), "message": message, "correlationId": new_guid(), "requestId": new_guid()}
    return ApiError(status, {"code": code, "message": message, "details": details})


def wrong_state() -> ApiError:
    """Anything that a job's present state does not allow (terraform-provider-azurerm#19328)."""
    return stream_analytics_error(
        409, "Conflict", "The Stream Analytics job is not in a valid state to perform this operation."
    )


def unprocessable(message: str) -> ApiError:
    """Something is missing: Stream Analytics' 422, whose code is the number (azure-sdk-for-python#35339)."""
    return stream_analytics_error(422, "422", message)


def stale(name: str) -> ApiError:
    """If-Match or If-None-Match did not hold. Assumed: no recording of Stream Analytics' 412 is known."""
    return stream_analytics_error(
        412,
        "PreconditionFailed",
        f"The condition set in the request's If-Match or If-None-Match header was not met for '{name}'.",
    )


def monitor_error(status: int, code: str, message: str) -> ApiError:
    """The metrics service's bare shape (azure-sdk-for-net#29584)."""
    return ApiError(status, {"code": code, "message": message})


def log_error(inner: str, message: str, detail: Mapping[str, Any] | None = None) -> ApiError:
    """Log Analytics' nested shape for a query it cannot run (azure-cli-extensions#3002)."""
    innererror: dict[str, Any] = {"code": inner, "message": message}
    if detail is not None:
        innererror["innererror"] = dict(detail)
    error = {
        "message": "The request had some invalid properties",
        "code": "BadArgumentError",
        "correlationId": new_guid(),
        "innererror": innererror,
    }
    return ApiError(400, {"error": error})


def listed(names: Sequence[str]) -> str:
    """Names as Azure lists them in a sentence."""
    return ", ".join(names)
