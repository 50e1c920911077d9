"""The code that runs on Databricks: the change feed of one table, as events, to an Event Hub.

`stream` follows the feed for ever, `replay` sends a bounded part of it again. Both make the same events (`events`), one a change, and send them in
the order of each record's versions, at least once; what repeats is equal in its key. Reading, sending and writing stand at the edges (`source`,
`hub`, `progress`); what is between them takes a DataFrame and gives one. Only pyspark (with its py4j) and the standard library are imported, and
nothing of lpmops: these files are copied to a workspace as they are. Needs a classic SparkSession (dedicated access mode), Spark 3.5 or newer.
"""
