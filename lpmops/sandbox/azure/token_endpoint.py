"""The managed identity endpoint: the App Service protocol, which azure-identity speaks unmodified.

`GET /msi/token?resource=&api-version=2019-08-01[&client_id=]` with the secret in X-IDENTITY-HEADER. A sign-in that has expired is answered as Entra
does, with `invalid_grant` and AADSTS700082.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.identity import AUDIENCES, SignInExpired, canonical_audience
from lpmops.sandbox.azure.stamps import new_guid, seconds

VERSION = "2019-08-01"


class TokenEndpoint:
    """The Starlette `endpoint`; without `client_id` it speaks for the first principal of the authority."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def endpoint(self, request: Request) -> Response:
        """One token, or why there is none."""
        query = request.query_params
        secret = request.headers.get("x-identity-header", "")
        if not hmac.compare_digest(secret.encode(), self._account.identity_secret.encode()):
            return _refused(401, "unauthorized", "The X-IDENTITY-HEADER is missing or wrong.")  # assumed: the wording
        if query.get("api-version") != VERSION:
            return _refused(400, "invalid_request", f"The api-version must be {VERSION}.")  # assumed: the wording
        resource = query.get("resource", "")
        if canonical_audience(resource) not in AUDIENCES:
            return _refused(
                400,
                "invalid_resource",
                f"AADSTS500011: The resource principal named {resource} was not found in the tenant.",
            )
        authority = self._account.authority
        wanted = query.get("client_id") or query.get("principal_id") or query.get("object_id")
        principals = authority.principals()
        principal = authority.find(wanted) if wanted else (principals[0] if principals else None)
        if principal is None:
            message = (
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            )
            return _refused(400, "invalid_client", message)
        try:
            issued = authority.issue(principal.id, resource)
        except SignInExpired:
            return _refused(
                400,
                "invalid_grant",
                f"AADSTS700082: The refresh token has expired due to inactivity. Trace ID: {new_guid()} Correlation ID: {new_guid()} "
                f"Timestamp: {seconds(self._account.clock.now())}",
                [700082],
            )
        return JSONResponse(
            {
                "access_token": issued.token,
                "expires_on": str(issued.expires_on),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": principal.client_id,
            },
            headers={"Cache-Control": "no-store"},
        )


def _refused(status: int, error: str, description: str, codes: list[int] | None = None) -> Response:
    body = {
        "statusCode": status,
        "error": error,
        "error_description": description,
        "message": description,
        "error_codes": codes or [],
    }
    return JSONResponse({**body, "correlation_id": new_guid()}, status)
