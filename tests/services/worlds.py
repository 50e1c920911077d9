"""Environments for the tests of the services: one that points at a loopback server, with an identity that the same server gives."""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from azure.core.credentials import AccessToken
from urllib3 import HTTPResponse

from lpmops.config import (
    Databricks,
    Endpoints,
    Environment,
    EventHub,
    Identity,
    Monitor,
    Sql,
    StreamAnalytics,
)
from lpmops.errors import SignInError
from lpmops.model import Kind
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential

TENANT = "00000000-0000-4000-8000-0000000000aa"
SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-lpm-tdr-dev"


def environment(url: str, **changes: Any) -> Environment:
    """Everything of dev at `url`."""
    given: dict[str, Any] = {
        "name": "dev",
        "kind": Kind.DEV,
        "tenant_id": TENANT,
        "subscription_id": SUBSCRIPTION,
        "resource_group": "rg-lpm-tdr-dev",
        "databricks": Databricks(
            host=url,
            warehouse="0123456789abcdef",
            table="lpm_dev.gold.tdr_streaming",
            job="lpm-tdr-stream-dev",
            checkpoint="/Volumes/lpm_dev/ops/checkpoints/tdr-stream",
        ),
        "eventhub": EventHub(namespace="evhns-lpm-tdr-dev", hub="tdr"),
        "streamanalytics": StreamAnalytics(job_prefix="asa-lpm-tdr-dev-", region="West Europe"),
        "sql": Sql(server="127.0.0.1", port=1, databases=("lpm-01",), trust_server_certificate=True),
        "monitor": Monitor(log_analytics_workspace="00000000-0000-4000-8000-000000000101"),
        "endpoints": Endpoints(resource_manager=url, metrics=url, logs=url),
        "identity": Identity(credential="token-endpoint", endpoint=f"{url}/msi/token", header="env:LPMOPS_TEST_HEADER"),
    }
    return Environment(**{**given, **changes})


class FixedToken:
    """A credential for the pipeline that always has the same token, and notes what is said of it."""

    def __init__(self, token: str = "first", with_claims: str | None = None) -> None:
        self._token = token
        self._with_claims = with_claims
        self.rejected: list[str] = []
        self.accepted: list[str] = []
        self.claims: list[str] = []

    def token(self, scope: str, *, claims: str | None = None, deadline: Deadline | None = None) -> AccessToken:
        if claims is None:
            return AccessToken(self._token, int(time.time()) + 3600)
        self.claims.append(claims)
        if self._with_claims is None:
            raise SignInError("A policy asks for a new sign-in.", service="identity")
        return AccessToken(self._with_claims, int(time.time()) + 3600)

    def reject(self, scope: str) -> None:
        self.rejected.append(scope)

    def accept(self, scope: str) -> None:
        self.accepted.append(scope)


class SignedIn(CachedCredential):
    """Signed in without asking: the recordings hold no sign-in."""

    def token(self, scope: str, **_: Any) -> Any:
        return AccessToken("recorded", 4_000_000_000)


class Forbidden(requests.adapters.BaseAdapter):
    """Answers 403, as metrics:getBatch does without a role on the subscription."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]  # recordings.py is written like this too
        self.asked += 1
        response = requests.Response()
        response.status_code, response.request, response.url = 403, request, request.url
        body = b'{"error": {"code": "AuthorizationFailed", "message": "no"}}'
        response.raw = HTTPResponse(io.BytesIO(body), status=403, preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""
