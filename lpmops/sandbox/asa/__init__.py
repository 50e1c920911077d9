"""The Stream Analytics engine of the sandbox: the very text that is deployed to a job, compiled, run on DuckDB, and held to the job's rules.

The dialect (source: Microsoft's Stream Analytics query reference, "asa-query"; one page of it for each word below)
- WITH steps, chained; any number of SELECT ... INTO without separators; UNION (keeps duplicates); comments; [brackets]; N'...'; PARTITION BY, which
  changes no row; JOIN and LEFT JOIN with reference data; WHERE, GROUP BY with TumblingWindow (Duration and Offset too), HAVING; SELECT *.
- a.b.c, GetRecordPropertyValue, GetArrayElement, GetArrayLength, GetType; GetMetadataPropertyValue of [EventHub] SequenceNumber, Offset, PartitionId,
  PartitionKey, EventEnqueuedUtcTime, EventProcessedUtcTime; the columns EventEnqueuedUtcTime, EventProcessedUtcTime, PartitionId; System.Timestamp().
- CAST and TRY_CAST to bigint, float, nvarchar(max), datetime, bit, record, array; CASE (with ELSE), IN, LIKE, BETWEEN, COALESCE, NULLIF; the
  functions in `dialect.SCALAR`; COUNT, SUM, AVG, MIN, MAX, STDEV(P), VAR(P), PERCENTILE_CONT and PERCENTILE_DISC.
- Values have types, columns have not: a field may hold a number in one event and a text in the next. A field that an event has not is NULL.
  Comparisons see case, and match nothing across types that do not go together. A CAST that can't be done stops the job, as its page says.

Refused by name, with line and column: TIMESTAMP BY, joins of streams, CROSS APPLY, OVER with LIMIT DURATION (LAG, LAST, ISFIRST), hopping, sliding,
session and snapshot windows, user-defined functions, MATCH_RECOGNIZE, CREATE TABLE, anomaly detection, geospatial functions, subqueries, and the
rest of `dialect.REFUSED`. ISNULL is refused because the service has none. Also refused: what the service would refuse too (limits, unknown names).

The job: states, start modes, at-least-once delivery, error policy, metrics and execution log follow azure-docs/stream-analytics; each module
names its pages, and what no page says is marked "assumed" where it is done.

Reading order: `tokens`, `lowering`, `plan` (the text becomes a plan) · `routing`, `program`, `translation` (the plan becomes SQL) · `executor`,
`windows` (events become rows) · `runtime`, `session`, `outputs`, `intake` (the job around them).
"""

from lpmops.sandbox.asa.checkpoint import DamagedCheckpoint
from lpmops.sandbox.asa.compiler import InputKind, compile_query
from lpmops.sandbox.asa.diagnostics import CompileError, Diagnostic, QueryRuntimeError
from lpmops.sandbox.asa.events import DataError, InputEvent
from lpmops.sandbox.asa.executor import Executor
from lpmops.sandbox.asa.joblog import LogRecord
from lpmops.sandbox.asa.metrics import MetricValue
from lpmops.sandbox.asa.plan import CompiledQuery
from lpmops.sandbox.asa.produced import OutputBatch
from lpmops.sandbox.asa.runtime import InvalidJobState, InvalidStart, JobState, StartMode, StreamingJob
from lpmops.sandbox.asa.seams import ErrorPolicy, HubReader, JobDefinition, JobSettings, OutputWriter, ReferenceSource

__all__ = [
    "CompileError",
    "CompiledQuery",
    "DamagedCheckpoint",
    "DataError",
    "Diagnostic",
    "ErrorPolicy",
    "Executor",
    "HubReader",
    "InputEvent",
    "InputKind",
    "InvalidJobState",
    "InvalidStart",
    "JobDefinition",
    "JobSettings",
    "JobState",
    "LogRecord",
    "MetricValue",
    "OutputBatch",
    "OutputWriter",
    "QueryRuntimeError",
    "ReferenceSource",
    "StartMode",
    "StreamingJob",
    "compile_query",
]
