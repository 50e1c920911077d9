"""A loopback Azure and Databricks with a real data plane behind the wire protocols.

The rooms: `hub` (AMQP 1.0 over a durable partitioned log), `sql` (TDS 7.4 over SQLite), `asa` (the deployed Stream Analytics text, executed by
DuckDB), `lake` (a Delta table with change feed, and the stream job's stand-in), `databricks` and `azure` (the HTTP APIs). `world` wires three
environments out of them; `process` starts and stops the one process. Nothing here imports the rest of lpmops: it is reached over sockets alone.
"""
