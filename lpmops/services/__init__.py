"""The only rooms that talk to Azure, Databricks and Azure SQL: values of `lpmops.model` come out, SDK types never do.

Each service takes an Environment, a credential and a deadline; each call ends within the deadline, counts itself and raises nothing but
`lpmops.errors`. Reads may be tried again, a write is sent once. `cloud.open_environment` hands out the whole bundle; nothing here is imported before
its first use.
"""
