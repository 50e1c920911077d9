"""Azure Resource Manager: its address, its paths and the token it takes, for the services that read resources there."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.services.addresses import is_loopback
from lpmops.services.answers import Answer
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.transport import Client, Transport

_PUBLIC = "https://management.azure.com/.default"


def resource_manager(
    environment: Environment, transport: Transport, credential: CachedCredential, service: str, rights: str
) -> Client:
    """A client for `service`'s resources; `rights` are what its reads take, for the hint of a refusal."""
    return transport.client(
        service,
        environment.endpoints.resource_manager,
        credential=credential,
        scope=manager_scope(environment),
        advice=credential.advice(rights),
    )


def tenant_of_subscription(
    environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
) -> str | None:
    """The tenant that the configured subscription belongs to, as Resource Manager says it. Raises ServiceError types."""
    return _subscription(environment, transport, credential, seconds).fields().maybe_text("tenantId")


def clock_ahead(
    environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
) -> float | None:
    """Seconds that this machine's clock is ahead of Resource Manager's (its Date header, to a second); None where that does not say."""
    began = time.time()
    answer = _subscription(environment, transport, credential, seconds)
    ended = time.time()
    try:
        said = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
    # The header was written somewhere between question and answer, and leaves out the parts of a second.
    return max(0.0, began - said - 1.0) + min(0.0, ended - said)


def _subscription(
    environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
) -> Answer:
    client = resource_manager(environment, transport, credential, "identity", "Reader on the subscription")
    return client.get(
        f"/subscriptions/{environment.subscription_id}",
        operation="subscription",
        deadline=Deadline.after(seconds),
        params={"api-version": "2022-12-01"},
    )


def manager_scope(environment: Environment) -> str:
    """The scope of the token that Resource Manager takes."""
    return scope_of(environment.endpoints.resource_manager, _PUBLIC)


def scope_of(endpoint: str, public: str) -> str:
    """The scope of a service's token: other clouds take their own address, a gateway on this machine that of the public cloud."""
    if is_loopback(endpoint):
        return public
    return f"{endpoint.rstrip('/')}/.default"


def group_path(environment: Environment) -> str:
    """The address of the environment's resource group."""
    return quote(environment.group_id)
