"""The local store: one SQLite file with what this machine has seen.

A cache, a history and (with the engine) a journal, never the truth: delete it and the next refresh rebuilds all but the
past. Plain functions over a `connection.Store`; every write is one `BEGIN IMMEDIATE` transaction, every failure a
StoreError that names the file and the next step. Only the standard library is imported here, because `lpmops status
--cached` must start as fast as `--help`.
"""
