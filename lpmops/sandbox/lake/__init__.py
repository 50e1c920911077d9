"""The lake: call records in a Delta table with a change feed, and the job that streams its changes.

`table` is a real Delta table (delta-rs, protocol reader 1 / writer 4) whose feed answers as Databricks does, refusing where delta-rs is
laxer. `records` invents emergency calls, `feeder` commits them, `streamjob` reads the feed from its checkpoint and sends one event a
change, at least once.

Evidence: the Delta protocol (github delta-io/delta PROTOCOL.md), its error classes (`delta-error-classes.json`), and for the checkpoint
the files that Spark Structured Streaming writes. What has no outside evidence is marked assumed where it stands. Not spoken: deletion
vectors, column mapping, row tracking, automatic (read-time) change feeds.
"""
