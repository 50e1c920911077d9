"""A Databricks workspace over HTTP: Unity Catalog 2.1, SQL statements and warehouses, Jobs 2.2 and 2.1, the Files API and who-am-I.

`Workspace` is the state and the world's seam, `workspace_routes` its addresses on a port of its own. It reads real Delta tables (`sandbox.lake`);
statements are Delta's commands and SELECT, run by DuckDB after translation, all else refused by name.
Evidence: there is no public specification, so shapes and rules are those of databricks-sdk 0.156 (dataclasses, docstrings, error overrides), of
public threads cited where they are used, and of Delta's and Spark's published error classes. What has none of these is marked "assumed".
"""

from lpmops.sandbox.databricks.jobs import Durations, RunTask, TaskRun
from lpmops.sandbox.databricks.routes import workspace_routes
from lpmops.sandbox.databricks.workspace import Workspace

__all__ = ["Durations", "RunTask", "TaskRun", "Workspace", "workspace_routes"]
