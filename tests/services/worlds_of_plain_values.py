"""An environment made of lpmops' own values alone, for tests that look at what is imported."""

from __future__ import annotations

from lpmops.config import Databricks, Environment, EventHub, Sql, StreamAnalytics
from lpmops.model import Kind

ENVIRONMENT = Environment(
    name="dev",
    kind=Kind.DEV,
    tenant_id="00000000-0000-4000-8000-0000000000aa",
    subscription_id="00000000-0000-4000-8000-000000000001",
    resource_group="rg-lpm-tdr-dev",
    databricks=Databricks("https://workspace.example", "w", "a.b.c", "job", "/Volumes/a/b/c"),
    eventhub=EventHub(namespace="evhns", hub="tdr"),
    streamanalytics=StreamAnalytics(job_prefix="asa-", region="westeurope"),
    sql=Sql(server="sql.example", databases=("lpm-01",)),
)
