"""The assembly: one account as Starlette routes.

    account = Account(clock=..., authority=..., folder=..., hubs=..., runtimes=..., compiler=..., probe=..., identity_secret=...)
    app = AzureGateway(Starlette(routes=azure_routes(account)), account)     # outermost, or the faults have no transport
    account.start(); uvicorn serves app; account.close()

Addresses: Resource Manager at `/`, metrics:getBatch at `/subscriptions/{id}/metrics:getBatch`, logs at `/v1`, tokens at `/msi/token`.
"""

from __future__ import annotations

from starlette.routing import Route

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import OperationTable
from lpmops.sandbox.azure.dispatch import Dispatcher
from lpmops.sandbox.azure.event_hub_routes import event_hub_operations
from lpmops.sandbox.azure.identity import ARM, LOGS, METRICS
from lpmops.sandbox.azure.job_routes import job_operations
from lpmops.sandbox.azure.log_routes import log_operations, reshape
from lpmops.sandbox.azure.metric_routes import batch_operations, metric_operations
from lpmops.sandbox.azure.resource_routes import resource_operations
from lpmops.sandbox.azure.token_endpoint import TokenEndpoint

METHODS = ["GET", "PUT", "PATCH", "POST", "DELETE"]


def azure_routes(account: Account) -> list[Route]:
    """Every Azure address of the sandbox over one account, in the order Starlette must try them."""
    manager = OperationTable(
        [
            *job_operations(account),
            *event_hub_operations(account),
            *metric_operations(account),
            *resource_operations(account),
        ]
    )
    arm = Dispatcher(account, manager, ARM)
    batch = Dispatcher(account, OperationTable(batch_operations(account)), METRICS, metered=False)
    logs = Dispatcher(account, OperationTable(log_operations(account)), LOGS, metered=False, reshape=reshape)
    return [
        Route("/msi/token", TokenEndpoint(account).endpoint, methods=["GET"]),
        Route("/v1/{rest:path}", logs.endpoint, methods=METHODS),
        Route("/subscriptions/{subscription}/metrics:getBatch", batch.endpoint, methods=METHODS),
        Route("/tenants", arm.endpoint, methods=METHODS),
        Route("/subscriptions", arm.endpoint, methods=METHODS),
        Route("/subscriptions/{rest:path}", arm.endpoint, methods=METHODS),
        Route("/providers/{rest:path}", arm.endpoint, methods=METHODS),
    ]
