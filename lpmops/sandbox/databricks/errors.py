"""Every way a workspace says no: the HTTP status, Databricks' error code and its message.

A handler raises one of these; only the dispatcher turns them into answers. The shape is `{"error_code": ..., "message": ..., "details":
[...]}` (databricks-sdk `errors/deserializer.py`). Where no document, SDK source or thread shows an answer the place says "assumed".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.identity import ExpiredToken, TokenError, WrongAudience
from lpmops.sandbox.azure.stamps import new_guid


class ApiError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON of the answer."""
        detail = {"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": request_id, "serving_data": ""}
        return {"error_code": self.code, "message": self.message, "details": [detail]}


def invalid(message: str) -> ApiError:
    """A value that does not fit."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def malformed(message: str) -> ApiError:
    """A body that cannot be read."""
    return ApiError(400, "MALFORMED_REQUEST", message)


def not_found(code: str, message: str) -> ApiError:
    """Something that is not there."""
    return ApiError(404, code, message)


def not_in_the_sandbox(what: str) -> ApiError:
    """Something that Databricks does and the sandbox does not; 501 is no answer of Databricks, so nobody takes it for one."""
    return ApiError(501, "NOT_IMPLEMENTED", f"The sandbox does not do this: {what}.")


def no_such_api(method: str, path: str) -> ApiError:
    """An address without an operation (databricks-agent-skills#259)."""
    _, _, rest = path.removeprefix("/api/").partition("/")
    return not_found("ENDPOINT_NOT_FOUND", f"No API found for '{method} /{rest or path.lstrip('/')}'")


def no_credential() -> ApiError:
    """No bearer token was sent."""
    message = f"Credential was not sent or was of an unsupported type for this API. [ReqId: {new_guid()}]"
    return ApiError(401, "401", message, {"WWW-Authenticate": 'Bearer realm="DatabricksRealm"'})


def refused_token(error: TokenError) -> ApiError:
    """A token that is not accepted. Assumed: which of 400, 401 and 403 belongs to which; the texts are of support threads."""
    if isinstance(error, ExpiredToken):
        challenge = {"WWW-Authenticate": 'Bearer realm="DatabricksRealm", error="invalid_token"'}
        return ApiError(401, "UNAUTHENTICATED", f"Token is expired. {error}", challenge)
    if isinstance(error, WrongAudience):
        return ApiError(400, "INVALID_AUDIENCE", f"io.jsonwebtoken.IncorrectClaimException: {error}")
    return ApiError(403, "PERMISSION_DENIED", f"Invalid access token. [ReqId: {new_guid()}]")


def throttled(seconds: int) -> ApiError:
    """Too many requests; the client is told when to come back."""
    message = "Current request rate exceeds the workspace limit. Please retry after the time in the Retry-After header."
    return ApiError(429, "REQUEST_LIMIT_EXCEEDED", message, {"Retry-After": str(seconds)})


def internal(status: int = 500) -> ApiError:
    """The service's own failure."""
    return ApiError(status, "INTERNAL_ERROR", "The service encountered an internal error. Please retry the request.")
