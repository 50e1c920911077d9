-- Versions of a source table whose changes can't be read any more, and what remains possible: they are not asked for again. Losing it costs asking.

CREATE TABLE unreadable (
    environment TEXT NOT NULL,
    table_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    why TEXT NOT NULL,
    remains TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (environment, table_id, first)
) STRICT, WITHOUT ROWID;
