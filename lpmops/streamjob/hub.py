"""The Event Hub's Kafka endpoint: how this job signs in, and how it sends.

Sign-in: `sas` (a connection string), `entra` (a service principal) or `service-credential` (Unity Catalog, nothing to keep). Secrets are read where
they are used, from a reference: `databricks:SCOPE/KEY`, `env:NAME` or `file:/path`. The client is set as Event Hubs advises
(azure-docs/event-hubs/apache-kafka-configurations), at least once and in order: one request in flight, no idempotent producer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KAFKA_PORT = 9093
AUTHORITY = "https://login.microsoftonline.com"
# Databricks renames the Kafka client's packages; elsewhere they have their own names.
_RENAMED = "kafkashaded." if "DATABRICKS_RUNTIME_VERSION" in os.environ else ""
_SECURITY = f"{_RENAMED}org.apache.kafka.common.security"
_CLIENT = {
    # The largest event, its key and the request around them; from 1,046,528 bytes on Event Hubs closes the connection.
    "kafka.max.request.size": "1040000",
    "kafka.request.timeout.ms": "60000",
    "kafka.metadata.max.age.ms": "180000",
    # Azure drops connections that idle for 240 s.
    "kafka.connections.max.idle.ms": "180000",
    "kafka.linger.ms": "5",
    "kafka.batch.size": "262144",
    "kafka.compression.type": "none",
    "kafka.acks": "all",
    # Event Hubs forgets producer ids, and an idempotent producer is then stuck (InvalidPidMapping); one request in flight keeps the order without it.
    "kafka.enable.idempotence": "false",
    "kafka.max.in.flight.requests.per.connection": "1",
    # A hub that restarts or throttles is waited for; after this long the run ends, and the next one sends the batch again.
    "kafka.delivery.timeout.ms": "180000",
    "kafka.max.block.ms": "180000",
}


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub and the way in. `namespace` is its host name, with `:port` where that is not 9093; `secret` is a reference."""

    namespace: str
    name: str
    sign_in: str
    secret: str = ""
    tenant: str = ""
    client: str = ""
    credential: str = ""
    authority: str = AUTHORITY

    @property
    def host(self) -> str:
        """The host without its port."""
        return self.namespace.rpartition(":")[0] or self.namespace


def read_secret(spark: SparkSession, reference: str) -> str:
    """The secret that a reference names. Raises ValueError for one that names none."""
    kind, _, place = reference.partition(":")
    if kind == "databricks":
        from pyspark.dbutils import DBUtils

        scope, _, key = place.partition("/")
        return str(DBUtils(spark).secrets.get(scope, key))
    if kind == "env":
        value = os.environ.get(place, "")
    elif kind == "file":
        value = Path(place).read_text(encoding="utf-8").strip()
    else:
        raise ValueError(f"{reference!r} is no reference: databricks:SCOPE/KEY, env:NAME or file:/path")
    if not value:
        raise ValueError(f"{reference} holds no secret")
    return value


def options(hub: Hub, secret: str) -> dict[str, str]:
    """The options of Spark's Kafka sink for this hub. Raises ValueError for a secret that cannot be written into them."""
    servers = hub.namespace if ":" in hub.namespace else f"{hub.namespace}:{KAFKA_PORT}"
    common = {"kafka.bootstrap.servers": servers, "topic": hub.name, **_CLIENT}
    scope = f"https://{hub.host}/.default"
    if hub.sign_in == "service-credential":
        return common | {"databricks.serviceCredential": hub.credential, "databricks.serviceCredential.scope": scope}
    if hub.sign_in == "sas":
        module = f"{_SECURITY}.plain.PlainLoginModule"
        entry = {"username": "$ConnectionString", "password": secret}
        return common | {
            "kafka.security.protocol": "SASL_SSL",
            "kafka.sasl.mechanism": "PLAIN",
            "kafka.sasl.jaas.config": _jaas(module, entry),
        }
    if hub.sign_in == "entra":
        module = f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule"
        entry = {"clientId": hub.client, "clientSecret": secret, "scope": scope, "ssl.protocol": "SSL"}
        return common | {
            "kafka.security.protocol": "SASL_SSL",
            "kafka.sasl.mechanism": "OAUTHBEARER",
            "kafka.sasl.jaas.config": _jaas(module, entry),
            "kafka.sasl.oauthbearer.token.endpoint.url": f"{hub.authority}/{hub.tenant}/oauth2/v2.0/token",
            "kafka.sasl.login.callback.handler.class": f"{_SECURITY}.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
        }
    raise ValueError(f"{hub.sign_in!r} is no way to sign in: sas, entra or service-credential")


def send(events: DataFrame, sink: Mapping[str, str]) -> None:
    """Send rows with `key` and `value`; returns when the hub has all of them."""
    events.select("key", "value").write.format("kafka").options(**sink).save()


def _jaas(module: str, entry: Mapping[str, str]) -> str:
    if any(re.search(r'[\x00-\x1f"\\]', value) for value in entry.values()):
        raise ValueError("the sign-in has a quote, a backslash or a control character; Event Hubs and Entra give none")
    return f"{module} required " + " ".join(f'{name}="{value}"' for name, value in entry.items()) + ";"
