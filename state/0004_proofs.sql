-- Which versions of a source table were held against the landing tables, and what differed then. Losing it costs looking again, and nothing else.
-- company_id '' is every company. Times are whole milliseconds since 1970 UTC.

CREATE TABLE proven (
    environment TEXT NOT NULL,
    table_id TEXT NOT NULL,
    company_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (environment, table_id, company_id, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE open_gap (
    environment TEXT NOT NULL,
    table_id TEXT NOT NULL,
    company_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    source INTEGER NOT NULL,
    landed INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    doubled INTEGER NOT NULL,
    extra INTEGER NOT NULL,
    repairable INTEGER NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (environment, table_id, company_id, first, last, why)
) STRICT, WITHOUT ROWID;
