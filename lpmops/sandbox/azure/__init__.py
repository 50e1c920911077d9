"""Azure's HTTP side: Resource Manager (Event Hubs, Stream Analytics, SQL, rights, diagnostic settings), metrics, logs and the token endpoint.

`Account` is the state, `azure_routes(account)` the addresses, `AzureGateway` the wire with its faults (see `routes` for how they are put together).
Evidence: the official API specifications and recorded exchanges that the tests hold every answer against; where neither shows an answer the code says
"assumed". The hubs, the job engine and the compiler are handed in through `HubProvider`, `JobRuntime` and `Compiler`.
"""

from lpmops.sandbox.azure.account import Account, Durations, GenericResource, ResourceGroup, Subscription
from lpmops.sandbox.azure.event_hubs import HubHandle, HubProvider
from lpmops.sandbox.azure.faults import HttpFault, WireFaults
from lpmops.sandbox.azure.gateway import AzureGateway
from lpmops.sandbox.azure.identity import ExpiredToken, InvalidToken, Principal, TokenAuthority, TokenError
from lpmops.sandbox.azure.jobs import Compiler, Diagnostic, JobDefinition, JobKey, JobRuntime, Probe
from lpmops.sandbox.azure.metrics import Metrics
from lpmops.sandbox.azure.routes import azure_routes

__all__ = [
    "Account",
    "AzureGateway",
    "Compiler",
    "Diagnostic",
    "Durations",
    "ExpiredToken",
    "GenericResource",
    "HttpFault",
    "HubHandle",
    "HubProvider",
    "InvalidToken",
    "JobDefinition",
    "JobKey",
    "JobRuntime",
    "Metrics",
    "Principal",
    "Probe",
    "ResourceGroup",
    "Subscription",
    "TokenAuthority",
    "TokenError",
    "WireFaults",
    "azure_routes",
]
