"""The words of the language: what this engine holds, and what it refuses by name.

Source: the Stream Analytics query reference (asa-query: built-in functions, windowing, group by, apply, lag, match-recognize). A function that the
reference does not list, such as ISNULL, does not exist in the service either.
"""

from __future__ import annotations

# Scalar functions with the least and the most arguments.
SCALAR: dict[str, tuple[int, int]] = {
    "CONCAT": (2, 1000), "LEN": (1, 1), "LOWER": (1, 1), "UPPER": (1, 1), "SUBSTRING": (3, 3), "LEFT": (2, 2), "RIGHT": (2, 2),
    "LTRIM": (1, 1), "RTRIM": (1, 1), "TRIM": (1, 1), "REPLACE": (3, 3), "CHARINDEX": (2, 3), "REVERSE": (1, 1),
    "ABS": (1, 1), "CEILING": (1, 1), "FLOOR": (1, 1), "ROUND": (2, 2), "SQRT": (1, 1), "SQUARE": (1, 1), "SIGN": (1, 1), "POWER": (2, 2),
    "EXP": (1, 1), "COALESCE": (2, 1000), "NULLIF": (2, 2), "GETTYPE": (1, 1),
    "DATEADD": (3, 3), "DATEDIFF": (3, 3), "DATEPART": (2, 2), "YEAR": (1, 1), "MONTH": (1, 1), "DAY": (1, 1),
    "GETRECORDPROPERTYVALUE": (2, 2), "GETARRAYELEMENT": (2, 2), "GETARRAYLENGTH": (1, 1), "GETMETADATAPROPERTYVALUE": (2, 2),
}  # fmt: skip
AGGREGATES = frozenset(
    {"COUNT", "SUM", "AVG", "MIN", "MAX", "STDEV", "STDEVP", "VAR", "VARP", "PERCENTILE_CONT", "PERCENTILE_DISC"}
)
TUMBLING = frozenset({"TUMBLINGWINDOW", "TUMBLING"})
WINDOW_PARTS = frozenset({"DURATION", "OFFSET"})
HELD = frozenset(SCALAR) | AGGREGATES | TUMBLING | WINDOW_PARTS

# In the reference and not here; said by the name that the reference uses.
REFUSED = {
    name.upper(): name
    for name in (
        "HoppingWindow", "Hopping", "SlidingWindow", "Sliding", "SessionWindow", "Session", "Windows", "LAG", "LAST", "ISFIRST", "TopOne", "Collect",
        "CollectTop", "AnomalyDetection_SpikeAndDip", "AnomalyDetection_ChangePoint", "GetArrayElements", "GetRecordProperties", "CONCAT_WS",
        "JSON_PARSE", "NCHAR", "PATINDEX", "REGEXMATCH", "REPLICATE", "SPACE", "STUFF", "TRANSLATE", "UNICODE", "DATENAME", "DATETIMEFROMPARTS",
        "CreateLineString", "CreatePoint", "CreatePolygon", "ST_DISTANCE", "ST_INTERSECTS", "ST_OVERLAPS", "ST_WITHIN",
    )
}  # fmt: skip

# Words before a parenthesis that call nothing.
KEYWORDS = frozenset(
    "SELECT FROM WHERE AND OR NOT IN AS ON BY CASE WHEN THEN ELSE END BETWEEN LIKE IS NULL JOIN INNER OUTER HAVING UNION OVER WITH INTO GROUP ORDER "
    "CAST TRY_CAST NVARCHAR VARCHAR CHAR NCHAR FLOAT DECIMAL NUMERIC DATETIME DATETIME2 LIMIT EXISTS APPLY TOP ALL DISTINCT ESCAPE".split()
)

UNITS = {
    "year": ("year", "yy", "yyyy"), "quarter": ("quarter", "qq", "q"), "month": ("month", "mm", "m"), "dayofyear": ("dayofyear", "dy", "y"),
    "day": ("day", "dd", "d"), "week": ("week", "wk", "ww"), "weekday": ("weekday", "dw", "w"), "hour": ("hour", "hh"),
    "minute": ("minute", "mi", "n"),
    "second": ("second", "ss", "s"), "millisecond": ("millisecond", "ms"), "microsecond": ("microsecond", "mcs"),
}  # fmt: skip
UNIT_OF = {word: unit for unit, words in UNITS.items() for word in words}
# SlidingWindow(hours, 1) is in an example of the reference (asa-query/percentile-cont).
UNIT_OF |= {f"{unit}s": unit for unit in UNITS}

MICROSECONDS = {
    "day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1_000, "microsecond": 1,
}  # fmt: skip
LONGEST_WINDOW = 7 * MICROSECONDS["day"]

# asa-query/getmetadatapropertyvalue; case does not matter here (assumed).
METADATA = {
    name.lower(): name
    for name in (
        "SequenceNumber",
        "Offset",
        "PartitionId",
        "PartitionKey",
        "EventEnqueuedUtcTime",
        "EventProcessedUtcTime",
    )
}
SYSTEM_COLUMNS = ("EventProcessedUtcTime", "PartitionId", "EventEnqueuedUtcTime")

QUERY_LIMIT = 512_000
RECEIVER_LIMIT = 5
